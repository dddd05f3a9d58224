package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"angarium/eventlog"
	"angarium/internal/control"
	"angarium/internal/node"
	"angarium/replica"
)

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitData        = 10
	exitNotFound    = 11
	exitExists      = 12
	exitUnavailable = 13
	exitHistory     = 14
	exitViolations  = 20
	exitHalted      = 21
	exitInterrupted = 130
)

// Codes of errors that the tool adds to those of the control API.
const (
	codeData        = "data_directory" // it cannot be opened
	codeUnreachable = "unreachable"    // the server went away
	codeViolations  = "violations"     // the store is not as it should be
	codeFailed      = "failed"         // some of many things failed
	codeInterrupted = "interrupted"
)

// exitCode is the one place that decides on exit codes.
func exitCode(code string) int {
	switch code {
	case control.CodeUsage:
		return exitUsage
	case codeData, codeUnreachable:
		return exitData
	case control.CodeNotFound:
		return exitNotFound
	case control.CodeExists:
		return exitExists
	case control.CodeUnavailable, control.CodeNotPrimary:
		return exitUnavailable
	case control.CodeHistory:
		return exitHistory
	case codeViolations, control.CodeDiffers:
		return exitViolations
	case control.CodeHalted:
		return exitHalted
	case codeInterrupted:
		return exitInterrupted
	}
	return exitError
}

// exitHelp is what every help text says of exit codes.
func exitHelp() string {
	return fmt.Sprintf(`Exit codes: %d done; %d error; %d bad command line; %d the server cannot be reached
or the data directory cannot be used; %d not found; %d exists already;
%d it cannot be done now or not here (log, disk, other nodes); %d events are no longer
there; %d verification found violations or differences; %d a replica is halted;
%d interrupted.`,
		exitOK, exitError, exitUsage, exitData, exitNotFound, exitExists, exitUnavailable, exitHistory, exitViolations, exitHalted, exitInterrupted)
}

// usageError is a bad command line.
type usageError struct{ error }

// Unwrap is for errors.As.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

func usage(err error) bool {
	_, ok := errors.AsType[usageError](err)
	return ok
}

// openError is a data directory that cannot be opened, by the tool or through its server.
type openError struct{ error }

// Unwrap is for errors.As.
func (e openError) Unwrap() error { return e.error }

// describe turns an error into what is told of it.
func describe(err error) *control.Error {
	told, isTold := errors.AsType[*control.Error](err)
	refusal, isRefusal := errors.AsType[*eventlog.Refusal](err)
	_, isOpen := errors.AsType[openError](err)
	e := &control.Error{Code: control.CodeInternal, Message: err.Error()}
	switch {
	case errors.Is(err, context.Canceled):
		e.Code, e.Message = codeInterrupted, "interrupted"
	case usage(err):
		e.Code = control.CodeUsage
	case isTold:
		*e = *told
	case errors.Is(err, replica.ErrHalted):
		e.Code, e.Hint = control.CodeHalted, "syncctl status tells where and why; syncctl rebuild makes the replica anew from the log"
	case isRefusal:
		e.Code, e.Message, e.Hint = codeData, fmt.Sprintf("%v: %s", refusal.Err, refusal.Detail), refusal.Hint
	case errors.Is(err, node.ErrInUse):
		e.Code, e.Hint = codeData, "the process that has it open does not answer on its control socket: wait until it has started, or stop it"
	case errors.Is(err, node.ErrNotInitialised):
		e.Code, e.Hint = codeData, "name the directory with --data or $ANGARIUM_DATA; angarium serve makes a new one"
	case isOpen:
		e.Code = codeData
	case errors.Is(err, control.ErrBroken):
		e.Code, e.Hint = codeUnreachable, "what was asked for may have been done or not: look, and try again"
	}
	return e
}

// report prints an error on standard error: JSON if that was asked for, else a line and perhaps one with a hint.
func (g *globals) report(e *control.Error) {
	if g.json {
		_ = json.NewEncoder(g.stderr).Encode(errorOutput{e}) // nobody is left to be told
		return
	}
	fmt.Fprintf(g.stderr, "syncctl: %s\n", plain(strings.ReplaceAll(e.Message, "\n", "; ")))
	if e.Hint != "" {
		fmt.Fprintf(g.stderr, "hint: %s\n", plain(strings.ReplaceAll(e.Hint, "\n", "; ")))
	}
}

// errorOutput is an error as --json prints it.
type errorOutput struct {
	Error *control.Error `json:"error"`
}
