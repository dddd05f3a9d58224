package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options say what a run does. The zero value of a field that is not explained is not useful.
type options struct {
	Rounds int
	Seed   uint64
	Bin    string // directory of the programs angarium and syncctl
	Dir    string // where the data directory and the logs of the server go
	// MaxLoad is the longest time that clients work before the server is killed.
	MaxLoad time.Duration
	// RebuildEvery is after how many rounds the replica is removed, 0 for never.
	RebuildEvery int
	Shards       int // 0 or 1: the default store
	Accounts     int // at least 1
	Workers      int // IMAP clients of each account
	Deliverers   int // LMTP clients
	Out          io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) (err error) {
	opts := options{Out: os.Stdout}
	flag.IntVar(&opts.Rounds, "rounds", 50, "how often the server is killed")
	flag.Uint64Var(&opts.Seed, "seed", 0, "what the clients do follows from it; 0 takes the time")
	flag.StringVar(&opts.Bin, "bin", "", "directory of angarium and syncctl; empty builds them")
	flag.StringVar(&opts.Dir, "dir", "", "directory to work in, which is kept; empty makes one, which is kept after a failure only")
	flag.DurationVar(&opts.MaxLoad, "load", 1500*time.Millisecond, "longest time between a start and a kill")
	flag.IntVar(&opts.RebuildEvery, "rebuild", 5, "remove the replica every so many rounds; 0: never")
	flag.IntVar(&opts.Shards, "shards", 1, "shards of the store")
	flag.IntVar(&opts.Accounts, "accounts", 5, "accounts")
	flag.IntVar(&opts.Workers, "workers", 2, "IMAP clients of each account")
	flag.IntVar(&opts.Deliverers, "deliverers", 3, "LMTP clients")
	flag.Parse()
	if opts.Rounds < 1 || opts.Accounts < 1 || opts.Workers < 0 || opts.Deliverers < 0 || opts.MaxLoad < minLoad {
		return errors.New("rounds and accounts must be 1 or more, and load 50ms or more")
	}
	if opts.Seed == 0 {
		opts.Seed = uint64(time.Now().UnixNano())
	}
	if opts.Dir == "" {
		if opts.Dir, err = os.MkdirTemp("", "crash-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(opts.Dir)
			} else {
				fmt.Fprintln(opts.Out, "kept:", opts.Dir)
			}
		}()
	}
	if opts.Bin == "" {
		opts.Bin = filepath.Join(opts.Dir, "bin")
		if err := build(ctx, opts.Bin); err != nil {
			return err
		}
	}
	return run(ctx, opts)
}
