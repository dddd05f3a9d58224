package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"angarium/eventlog"
	"angarium/internal/buildinfo"
	"angarium/internal/node"
)

// Exit codes, as every help text repeats them.
const (
	exitOK     = 0
	exitError  = 1  // it failed while it ran
	exitUsage  = 2  // the command line or the configuration makes no sense
	exitData   = 10 // the data directory cannot be used
	exitRefuse = 22 // the log does not fit the replica: nothing was changed
)

const exitHelp = `
Exit codes: 0 after a clean end; 1 on an error; 2 for a bad command line or configuration; 10 when the data
directory cannot be used; 22 when the log is missing, behind or not the one this node has read.`

// usageError is an error of the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRootCommand().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "angarium:", err)
	}
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var usage usageError
	var refusal *eventlog.Refusal
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &refusal):
		return exitRefuse
	case errors.Is(err, node.ErrInUse), errors.Is(err, node.ErrNotInitialised):
		return exitData
	}
	return exitError
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "angarium",
		Short:         "A mail store whose truth is a log",
		Long:          "Angarium keeps mail as a log of events and serves it by IMAP; mail comes in by LMTP.\n" + exitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildinfo.Version(),
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServeCommand(), newDemoCommand(), newConfigCommand(), newManCommand())
	return root
}

// noArgs refuses arguments as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a directory",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			header := &doc.GenManHeader{Title: "ANGARIUM", Section: "8", Source: "Angarium " + buildinfo.Version()}
			return doc.GenManTree(cmd.Root(), header, args[0])
		},
	}
}
