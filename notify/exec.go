package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	defaultExecTimeout = 30 * time.Second
	execGrace          = time.Second // between the end of a program and that of what it left behind with our pipes
	exitRefused        = 65          // EX_DATAERR of sysexits.h
)

// ExecOptions configures a program. Zero values mean the defaults named here.
type ExecOptions struct {
	Command []string      // program and arguments; no shell
	Dir     string        // working directory [that of the server]
	Env     []string      // its whole environment, NAME=value [the server's]
	Timeout time.Duration // of one run; the program is killed then [30s]
}

// Exec is a Target that runs a program for each event, as Cyrus's notifyd does: one at a time, the event's JSON and a line end as its input. Exit
// code 0 takes the event, 65 refuses it; after any other it is tried again.
type Exec struct{ opts ExecOptions }

// NewExec makes the target.
func NewExec(opts ExecOptions) (*Exec, error) {
	if len(opts.Command) == 0 || opts.Command[0] == "" {
		return nil, errors.New("exec: no program")
	}
	if _, err := exec.LookPath(opts.Command[0]); err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	if opts.Timeout <= 0 {
		opts.Timeout = defaultExecTimeout
	}
	return &Exec{opts}, nil
}

// Kind implements Target.
func (x *Exec) Kind() string { return "exec" }

// Deliver implements Target.
func (x *Exec) Deliver(ctx context.Context, events []*Event) error {
	for _, e := range events {
		if err := x.run(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (x *Exec) run(ctx context.Context, e *Event) error {
	ctx, cancel := context.WithTimeout(ctx, x.opts.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.opts.Command[0], x.opts.Command[1:]...)
	cmd.Dir, cmd.Env = x.opts.Dir, x.opts.Env
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(e.JSON()), '\n'))
	tail := &tailBuffer{}
	cmd.Stderr = tail
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts goes with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = execGrace
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	text, _ := clip(strings.TrimSpace(string(tail.b)), maxShortText)
	err = fmt.Errorf("exec %s for event %s: %w: %s", x.opts.Command[0], e.ID(), err, text)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitRefused {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// Resume implements Target.
func (x *Exec) Resume(int64) error { return nil }

// Mark implements Target.
func (x *Exec) Mark() (int64, error) { return 0, nil }

// Close implements Target.
func (x *Exec) Close() error { return nil }

// tailBuffer keeps the last bytes that are written to it.
type tailBuffer struct{ b []byte }

// Write implements io.Writer.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if over := len(t.b) - maxAnswerBytes; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}
