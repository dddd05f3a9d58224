package imapd

import (
	"context"
	"fmt"

	"angarium/internal/auth"
)

// handleLogin serves LOGIN (RFC 9051, section 6.2.3). Where the password must not cross the connection it is refused before a literal
// is asked for.
func handleLogin(s *session, ctx context.Context) (reply, error) {
	if !s.mayShowPassword() {
		return reply{}, s.no("PRIVACYREQUIRED", "Passwords need TLS here")
	}
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	name, err := s.r.AString()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	password, err := s.r.AString()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	who, err := s.srv.opts.Auth.CheckPassword(ctx, s.remote, auth.Credentials{Name: name, Password: password})
	return s.concludeLogin("LOGIN", name, who, err)
}

// concludeLogin turns the outcome of LOGIN or AUTHENTICATE into a session, or into a refusal. name is what the client said it is, if
// that is known.
func (s *session) concludeLogin(mechanism, name string, who auth.Identity, err error) (reply, error) {
	if err == nil {
		if err := s.loggedInAs(who, mechanism); err != nil {
			s.srv.opts.Hooks.Login(mechanism, "limit")
			return reply{}, err
		}
		s.srv.opts.Hooks.Login(mechanism, "ok")
		return reply{"CAPABILITY " + s.capabilities(), "Logged in"}, nil
	}
	st, result := loginStatus(err)
	s.srv.opts.Hooks.Login(mechanism, result)
	s.failures++
	s.log.Info("login failed", "name", fmt.Sprintf("%.*q", auth.MaxNameLen, name), "mechanism", mechanism, "result", result, "error", err)
	return reply{}, st
}
