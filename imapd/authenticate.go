package imapd

import (
	"context"
	"encoding/base64"
	"strings"

	"angarium/internal/auth"
)

// maxSASLLine bounds a line of a SASL exchange: the longest response in base64.
const maxSASLLine = (auth.MaxResponseLen + 2) / 3 * 4

// handleAuthenticate serves AUTHENTICATE with or without an initial response (RFC 9051, section 6.2.2; RFC 4959).
func handleAuthenticate(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	mech, err := s.r.Keyword()
	if err != nil {
		return reply{}, err
	}
	response, err := s.initialResponse()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if auth.SendsPassword(mech) && !s.mayShowPassword() {
		return reply{}, s.no("PRIVACYREQUIRED", "Passwords need TLS here")
	}
	exchange, err := s.srv.opts.Auth.SASLServer(ctx, s.remote, mech)
	if err != nil {
		return s.concludeLogin(metricMechanism(mech), "", auth.Identity{}, err)
	}
	for {
		challenge, done, err := exchange.Next(response)
		if err != nil || done {
			return s.concludeLogin(mech, "", exchange.Identity(), err)
		}
		s.enc.Continuation(base64.StdEncoding.EncodeToString(challenge))
		line, err := s.r.ReadLine(maxSASLLine)
		if err != nil {
			return reply{}, err
		}
		if line == "*" {
			return reply{}, s.bad("Authentication cancelled")
		}
		if response, err = base64.StdEncoding.DecodeString(line); err != nil {
			s.failures++
			return reply{}, s.bad("The response is not base64")
		}
	}
}

// initialResponse parses the optional initial response: nil if there is none, empty but not nil for "=".
func (s *session) initialResponse() ([]byte, error) {
	end, err := s.r.AtCRLF()
	if err != nil || end {
		return nil, err
	}
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	response, err := s.r.InitialResponse()
	if err == nil && response == nil {
		response = []byte{}
	}
	return response, err
}

// metricMechanism keeps what a client made up out of the metrics.
func metricMechanism(mech string) string {
	for _, m := range auth.Mechanisms() {
		if strings.EqualFold(m, mech) {
			return m
		}
	}
	return unknownCommand
}
