package imapd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"angarium/imapd/wire"
)

// unknownCommand is what a command that does not exist is called in log and metrics.
const unknownCommand = "UNKNOWN"

// badFactor is how many more broken commands in succession a client that has logged in may send.
const badFactor = 5

// command reads one command, carries it out and answers it. An error means that the connection cannot go on.
func (s *session) command(ctx context.Context) error {
	start := s.srv.opts.Now()
	s.tag, s.name = "", unknownCommand
	if err := s.r.BeginCommand(); err != nil {
		return err
	}
	rep, policy, err := s.run(ctx)
	result, err := s.conclude(ctx, rep, policy, err)
	s.srv.opts.Hooks.Command(s.name, result, s.srv.opts.Now().Sub(start))
	return err
}

// run parses tag and name, and calls the handler.
func (s *session) run(ctx context.Context) (reply, updates, error) {
	tag, err := s.r.Tag()
	if err != nil {
		return reply{}, updatesNone, err
	}
	s.tag = tag
	if err := s.r.SP(); err != nil {
		return reply{}, updatesNone, err
	}
	name, err := s.r.Keyword()
	if err != nil {
		return reply{}, updatesNone, err
	}
	c, ok := s.srv.commands[name]
	if !ok {
		return reply{}, updatesNone, s.bad("Unknown command")
	}
	s.name = name
	if c.states&s.state() == 0 {
		return reply{}, updatesNone, s.bad(fmt.Sprintf("%s is not allowed now: %s", name, s.stateText()))
	}
	rep, err := c.run(s, ctx)
	return rep, c.updates, err
}

func (s *session) stateText() string {
	switch s.state() {
	case notAuthenticated:
		return "please log in first"
	case authenticated:
		return "no mailbox is selected, or you are logged in already"
	}
	return "you are logged in already"
}

// conclude sends what is due after a handler: the changes of the mailbox and the tagged reply. It returns the result for the metrics.
func (s *session) conclude(ctx context.Context, rep reply, policy updates, err error) (string, error) {
	switch {
	case errors.Is(err, errBye):
		return "OK", err
	case errors.Is(err, errReplied):
		s.bad = 0
		return "OK", nil
	}
	st, fatal := s.judge(err)
	if fatal != nil {
		return "closed", fatal
	}
	// Behind the command before anything is answered: what follows must be a command of its own.
	if err := s.r.DiscardCommand(); err != nil {
		return "closed", err
	}
	if policy != updatesNone {
		if err := s.writeUpdates(ctx, policy == updatesAll); err != nil {
			return "closed", err
		}
	}
	if st == nil {
		s.bad = 0
		s.enc.Status(s.tag, "OK", rep.code, rep.text)
		return "OK", s.enc.Err()
	}
	tag := s.tag
	if tag == "" {
		tag = "*" // RFC 9051, section 7.1.3: BAD without a tag
	}
	s.enc.Status(tag, st.cond, st.code, st.text)
	if st.cond != "BAD" {
		return st.cond, s.enc.Err()
	}
	if s.bad++; s.bad >= s.badAllowed() {
		return st.cond, &closing{"", "Too many broken commands", errors.New("too many broken commands")}
	}
	return st.cond, s.enc.Err()
}

func (s *session) badAllowed() int {
	n := s.srv.opts.Limits.BadCommands
	if s.id.Account != "" {
		n *= badFactor
	}
	return n
}

// judge says what a handler's error means: a status to answer with, or an error after which the connection cannot go on.
func (s *session) judge(err error) (st *statusError, fatal error) {
	if err == nil {
		return nil, nil
	}
	var end *closing
	if errors.As(err, &end) {
		return nil, err
	}
	st, ok := statusOf(err)
	if ok {
		return st, nil
	}
	if s.enc.Err() != nil || isConnError(err) {
		return nil, err
	}
	if errors.Is(err, context.Canceled) {
		return nil, &closing{"UNAVAILABLE", "The server is shutting down", err}
	}
	s.log.Error("command failed", "command", s.name, "error", err)
	return st, nil
}

// isConnError says that an error is one of the connection, or one after which the reader does not know where it is.
func isConnError(err error) bool {
	for _, e := range []error{wire.ErrLineTooLong, wire.ErrAmbiguous, wire.ErrUnskippable, wire.ErrMisuse, wire.ErrShortLiteral} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isGone(err) || isNetError(err)
}

var _ = time.Now
