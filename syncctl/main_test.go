package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain also is the program that the scripts run: syncctl with a made-up store in place of a data directory.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"syncctl": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			g := &globals{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, offline: openCanned}
			os.Exit(run(ctx, g, os.Args[1:]))
		},
	})
}

// The scripts in testdata/script run syncctl against canned answers. $ANGARIUM_DATA is an empty directory with a path that is short
// enough for a socket. Commands beside those of testscript:
//
//	serve [FILE]   serve the answers of testdata/canned.json, and of FILE before those, on the control socket
//	interrupt asked|printed CMD
//	               run CMD, interrupt it when its request has come or it has printed something, and expect exit code 130
//	stale          leave a socket that nobody listens on
//	code N CMD     run CMD and expect exit code N
//
// Without a server, syncctl opens the directory itself: $OFFLINE is then a file of answers as for serve, or what goes wrong. The
// requests that came are in $WORK/requests, one a line. With UPDATE_SCRIPTS set, what cmp compares with is written anew.
func TestScripts(t *testing.T) {
	defer goleak.VerifyNone(t)
	params := testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			dir, err := os.MkdirTemp("", "syncctl")
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := os.RemoveAll(dir); err != nil {
					env.T().Log(err)
				}
			})
			canned, err := os.ReadFile("testdata/canned.json")
			if err != nil {
				return err
			}
			env.Values[askedKey{}] = make(chan struct{}, 1)
			env.Setenv("ANGARIUM_DATA", dir)
			env.Setenv("CANNED", env.WorkDir+"/canned.json")
			env.Setenv("REQUESTS", env.WorkDir+"/requests")
			return os.WriteFile(env.Getenv("CANNED"), canned, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve": scriptServe, "interrupt": scriptInterrupt, "stale": scriptStale, "code": scriptCode,
		},
	}
	testscript.Run(t, params)
}
