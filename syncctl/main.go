package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"angarium/internal/buildinfo"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/internal/node"
)

// defaultData is the data directory when nothing names one.
const defaultData = "/var/lib/angarium"

// globals is what all commands share.
type globals struct {
	data, config   string
	json, quiet    bool
	stdin          io.Reader
	stdout, stderr io.Writer
	offline        openOffline
	caller         control.Caller
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	g := &globals{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, offline: node.OfflineHandler}
	os.Exit(run(ctx, g, os.Args[1:]))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, g *globals, args []string) int {
	root := newRootCommand(g)
	root.SetArgs(args)
	g.caller = callerOf(args)
	root.SetIn(g.stdin)
	root.SetOut(g.stdout)
	root.SetErr(g.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	e := describe(err)
	if usage(err) && e.Hint == "" {
		e.Hint = "see " + cmd.CommandPath() + " --help"
	}
	g.json = g.json || slices.Contains(args, "--json") // the flags after a bad one are not read
	g.report(e)
	return exitCode(e.Code)
}

// callerOf says who runs a command line.
func callerOf(args []string) control.Caller {
	c := control.Caller{Command: "syncctl " + strings.Join(args, " ")}
	if u, err := user.Current(); err == nil {
		c.User = u.Username
	}
	return c
}

func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "syncctl",
		Short: "Look after an Angarium mail store",
		Long: `Syncctl looks after an Angarium mail store: through the server that has its
data directory open, or by opening the directory itself while no server runs.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Version:           buildinfo.Version(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.settle(cmd) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	f := root.PersistentFlags()
	f.StringVar(&g.data, "data", "", "data directory; else $ANGARIUM_DATA, data_dir of the --config file, or "+defaultData)
	f.StringVar(&g.config, "config", "", "configuration file, for work on a directory that no server has open")
	f.BoolVar(&g.json, "json", false, "answer in JSON (docs/json-output.md)")
	f.BoolVar(&g.quiet, "quiet", false, "no progress and no warnings")
	root.AddCommand(newAccountCommand(g), newStatusCommand(g), newVerifyCommand(g), newRebuildCommand(g), newLogCommand(g),
		newChannelCommand(g), newPromoteCommand(g), newDemoteCommand(g), newResyncCommand(g), newScrubCommand(g), newDiffCommand(g),
		newWatchCommand(g), newEventsCommand(g), newConsumerCommand(g), newNotifyCommand(g),
		newBackupCommand(g), newSnapshotsCommand(g), newPruneCommand(g), newRestoreCommand(g), newUnexpungeCommand(g), newUndeleteCommand(g),
		newRecoverCommand(g), newHistoryCommand(g), newRecallCommand(g), newExpireCommand(g), newUsageCommand(g), newPurgeCommand(g),
		newCompactCommand(g), newImportCommand(g), newExportCommand(g),
		newCompletionCommand(), newManCommand(), newVersionCommand(g))
	makeGroup(root)
	explainExit(root)
	return root
}

// settle works out the data directory.
func (g *globals) settle(cmd *cobra.Command) error {
	var cfg config.Config
	if g.config != "" {
		var err error
		if cfg, err = config.Load(g.config); err != nil {
			return usageError{err}
		}
	}
	if cmd.Flags().Changed("data") {
		if g.data == "" {
			return usagef("--data names no directory")
		}
		return nil
	}
	for _, dir := range []string{os.Getenv("ANGARIUM_DATA"), cfg.Server.DataDir, defaultData} {
		if dir != "" {
			g.data = dir
			break
		}
	}
	return nil
}

// makeGroup makes a command that has only subcommands refuse everything else.
func makeGroup(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = cobra.ArbitraryArgs // or cobra reports unknown commands in its own words
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		if len(args) == 0 {
			return usagef("name a command: %s", strings.Join(names, ", "))
		}
		if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
			names = like
		}
		return usagef("no command %q; there is %s", args[0], strings.Join(names, ", "))
	}
}

// explainExit adds the exit codes to the help of a command and of those below it.
func explainExit(c *cobra.Command) {
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	c.Long += "\n\n" + exitHelp()
	for _, sub := range c.Commands() {
		explainExit(sub)
	}
}

// args checks the number of arguments; a wrong one is a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, list []string) error {
		if err := check(cmd, list); err != nil {
			return usageError{err}
		}
		for _, a := range list {
			if a == "" {
				return usagef("an argument is empty")
			}
		}
		return nil
	}
}
