package imapd

import (
	"context"
)

// handleUID carries out UID FETCH, STORE, SEARCH, COPY, MOVE and EXPUNGE (RFC 9051, section 6.4.9). EXPUNGE responses are
// allowed during all of them, since they are not the commands without UID (section 7.5.1).
func handleUID(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	name, err := s.r.Keyword()
	if err != nil {
		return reply{}, err
	}
	switch name {
	case "FETCH":
		return s.fetch(ctx, true)
	case "STORE":
		return s.store(ctx, true)
	case "SEARCH":
		return s.search(ctx, true)
	case "COPY":
		return s.copy(ctx, true)
	case "MOVE":
		return s.move(ctx, true)
	case "EXPUNGE":
		return s.uidExpunge(ctx)
	}
	return reply{}, s.bad("Unknown UID command")
}
