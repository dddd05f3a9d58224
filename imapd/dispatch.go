package imapd

import (
	"context"
	"errors"
	"fmt"
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

// conclude moves behind the command and sends what is due: the changes of the mailbox and the tagged reply. It returns the result
// for the metrics.
func (s *session) conclude(ctx context.Context, rep reply, policy updates, err error) (string, error) {
	var end *closing
	switch {
	case errors.Is(err, errBye):
		return "OK", err
	case errors.As(err, &end), errors.Is(err, errMailboxDeleted):
		return "closed", err
	}
	// Before anything is answered: what follows must be a command of its own, or the connection is at its end.
	if err := s.r.DiscardCommand(); err != nil {
		return "closed", err
	}
	if err := s.enc.Err(); err != nil {
		return "closed", err
	}
	if policy != updatesNone {
		if err := s.writeUpdates(ctx, policy == updatesAll); err != nil {
			return "closed", err
		}
	}
	switch {
	case errors.Is(err, errReplied):
		s.broken = 0
		return "OK", nil
	case err == nil:
		s.broken = 0
		s.enc.Status(s.tag, "OK", rep.code, rep.text)
		return "OK", s.enc.Err()
	}
	st, expected := statusOf(err)
	if !expected {
		s.log.Error("command failed", "command", s.name, "error", err)
	}
	return st.cond, s.refuse(st)
}

// refuse answers a command with NO or BAD. An error means that the client has sent too much of what it should not.
func (s *session) refuse(st *statusError) error {
	tag := s.tag
	if tag == "" {
		tag = "*" // RFC 9051, section 7.1.3
	}
	s.enc.Status(tag, st.cond, st.code, st.text)
	if st.cond == "BAD" {
		if s.broken++; s.broken >= s.badAllowed() {
			return &closing{"", "Too many broken commands", nil}
		}
	}
	if s.failures >= s.srv.opts.Limits.LoginFailures {
		return &closing{"", "Too many failed logins", nil}
	}
	return s.enc.Err()
}

func (s *session) badAllowed() int {
	n := s.srv.opts.Limits.BadCommands
	if s.id.Account != "" {
		n *= badFactor
	}
	return n
}
