package imapd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"angarium/imapd/wire"
	"angarium/internal/auth"
	"angarium/mailstore"
	"angarium/replica"
)

// session is one connection. All of it belongs to the connection's goroutine, but for what says otherwise.
type session struct {
	srv  *Server
	conn *conn
	r    *wire.Reader // Interrupt may be called by any goroutine
	enc  *wire.Encoder
	id   mailstore.Identity // Account is "" before login
	log  *slog.Logger

	box   *selected   // nil unless a mailbox is selected
	saved wire.NumSet // the result of the last SEARCH with SAVE: UIDs (RFC 5182)

	notify     *notifySettings         // nil until the first NOTIFY
	watcher    *replica.AccountWatcher // nil unless notify watches more than the selected mailbox
	stopWaking func()                  // ends what interrupts the reader for notify; nil if nothing does

	// What the client has enabled. utf8 says that mailbox names and quoted strings are UTF-8.
	rev2, condstore, qresync, utf8 bool

	remote   netip.Addr // invalid for a unix socket
	tls      bool
	tag      string // of the command at hand
	name     string // of the command at hand, for the log and the metrics
	broken   int    // broken commands in succession
	failures int    // failed logins
	sentID   bool   // the client has told its ID
	loginBy  time.Time
	ousted   atomic.Bool // set by any goroutine: the account may no longer be served
}

// newSession makes the session of a connection.
func newSession(srv *Server, c *conn, remote netip.Addr, tls bool) *session {
	s := &session{srv: srv, conn: c, remote: remote, tls: tls}
	s.id = mailstore.Identity{Service: "imap", Session: rand.Text()[:12], Client: c.RemoteAddr().String()}
	s.log = srv.opts.Logger.With("session", s.id.Session, "client", s.id.Client)
	limits := srv.opts.Limits
	s.enc = wire.NewEncoder(c, wire.EncoderOptions{Pool: srv.writePool, WriteTimeout: limits.Write})
	s.r = wire.NewReader(c, s.enc, wire.Options{
		Limits: wire.PreAuthLimits(), Pool: srv.readPool, CommandTimeout: limits.CommandRead, Separator: mailstore.Separator[0],
	})
	s.loginBy = time.Now().Add(limits.Login) // deadlines of connections are of the real clock
	return s
}

// serve runs the session to its end.
func (s *session) serve(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("session panicked", "command", s.name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	defer s.end(ctx)
	s.enc.Status("*", "OK", "CAPABILITY "+s.capabilities(), s.srv.opts.Name+" is ready")
	for {
		err := s.wait(ctx)
		if err == nil {
			err = s.command(ctx)
		}
		if err != nil {
			s.farewell(err)
			return
		}
	}
}

// wait returns when the next command begins to come in. Until then it tells the client what it asked for with NOTIFY.
func (s *session) wait(ctx context.Context) error {
	deadline := s.deadline()
	for {
		if err := s.tellBetweenCommands(ctx); err != nil {
			return err
		}
		err := s.r.WaitInput(deadline)
		switch {
		case errors.Is(err, wire.ErrInterrupted): // there is news, or it is time to go, or this was meant for an IDLE that has ended
			if err := s.ending(); err != nil {
				return err
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errAutologout()
		default:
			return err
		}
	}
}

// ending says why the session has to end, whatever its client does; nil when it does not.
func (s *session) ending() error {
	switch {
	case s.srv.draining():
		return errShutdown()
	case s.ousted.Load():
		return errOusted()
	}
	return nil
}

// deadline says when the session ends if no command comes.
func (s *session) deadline() time.Time {
	if s.id.Account == "" {
		return s.loginBy
	}
	return time.Now().Add(s.srv.opts.Limits.Autologout)
}

// end gives back what the session holds.
func (s *session) end(ctx context.Context) {
	s.endNotify()
	s.unselect(ctx)
	if err := s.enc.Flush(); err != nil && !isGone(err) {
		s.log.Debug("last write failed", "error", err)
	}
	if err := s.conn.Close(); err != nil && !isGone(err) {
		s.log.Debug("close failed", "error", err)
	}
	s.conn.stopTrace()
	if s.id.Account != "" {
		s.srv.logout(s)
		s.srv.opts.Hooks.LoggedOut(s.info())
	}
	s.log.Debug("session ended", "read", s.conn.read.Load(), "written", s.conn.written.Load())
}

// info says whose session it is.
func (s *session) info() SessionInfo {
	return SessionInfo{Account: s.id.Account, Session: s.id.Session, Client: s.conn.RemoteAddr(), Server: s.conn.LocalAddr()}
}

// bye announces the end of the connection, which the caller brings about.
func (s *session) bye(code, text string) { s.enc.Status("*", "BYE", code, text) }

// farewell tells the client why the connection ends, where that makes sense.
func (s *session) farewell(err error) {
	var c *closing
	switch {
	case errors.Is(err, errBye), errors.Is(err, errMailboxDeleted), isGone(err):
		return
	case errors.As(err, &c):
		s.bye(c.code, c.text)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.bye("", "The command did not arrive in time")
	case errors.Is(err, wire.ErrLineTooLong), errors.Is(err, wire.ErrAmbiguous), errors.Is(err, wire.ErrUnskippable):
		s.bye("", "The connection is out of step: "+err.Error())
	default:
		s.bye("", "The connection cannot go on")
	}
	s.log.Info("connection closed", "command", s.name, "error", err)
}

// enableCondstore notes that the client has shown that it knows CONDSTORE, and reports whether that is new (RFC 7162, section 3.1).
func (s *session) enableCondstore() bool {
	first := !s.condstore
	s.condstore = true
	return first
}

// enableRev2 makes it an IMAP4rev2 session: names are UTF-8 from here on (RFC 9051, section 6.3.1).
func (s *session) enableRev2() {
	s.rev2, s.utf8 = true, true
	s.r.SetUTF8(true)
	s.enc.SetUTF8(true)
}

// loggedInAs makes the session that of an account.
func (s *session) loggedInAs(who auth.Identity, mechanism string) error {
	account := who.Account
	if !s.srv.login(account, s) {
		return s.no("LIMIT", fmt.Sprintf("The account has %d sessions already", s.srv.opts.Limits.SessionsPerAccount))
	}
	s.id.Account = account
	s.log = s.log.With("account", account)
	s.r.SetLimits(wire.Limits{})
	s.broken, s.failures = 0, 0
	if open := s.srv.opts.Trace; open != nil {
		s.conn.trace = open(account, s.id.Session)
	}
	s.srv.opts.Hooks.LoggedIn(s.info())
	s.log.Info("logged in", "authenticated", who.Authenticated, "mechanism", mechanism, "tls", s.tls)
	return nil
}

// state says in which state the connection is.
func (s *session) state() states {
	switch {
	case s.id.Account == "":
		return notAuthenticated
	case s.box == nil:
		return authenticated
	}
	return selectedState
}
