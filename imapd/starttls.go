package imapd

import (
	"context"
	"crypto/tls"
	"fmt"
)

// handleStartTLS puts TLS under the session (RFC 9051, section 6.2.1). What the client, or somebody on the way, has sent ahead of the
// handshake must not be taken for commands that came through TLS: then the connection ends.
func handleStartTLS(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	switch {
	case s.tls:
		return reply{}, s.bad("TLS is active already")
	case s.srv.opts.TLS == nil:
		return reply{}, s.bad("TLS is not available")
	case s.r.Buffered() > 0:
		return reply{}, &closing{"", "Commands after STARTTLS were sent without waiting for it", nil}
	}
	s.enc.Status(s.tag, "OK", "", "Begin TLS negotiation now")
	if err := s.enc.Flush(); err != nil {
		return reply{}, err
	}
	tc := tls.Server(s.conn.Conn, s.srv.opts.TLS)
	ctx, cancel := context.WithTimeout(ctx, s.srv.opts.Limits.CommandRead)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		s.log.Debug("TLS handshake failed", "error", err)
		s.srv.opts.Hooks.Refused("tls")
		return reply{}, errBye
	}
	s.conn = s.conn.over(tc)
	if err := s.r.Reset(s.conn); err != nil {
		return reply{}, fmt.Errorf("continue through TLS: %w", err)
	}
	if err := s.enc.Reset(s.conn); err != nil {
		return reply{}, fmt.Errorf("continue through TLS: %w", err)
	}
	s.tls = true
	return reply{}, errReplied
}
