package imapd

import (
	"context"
	"errors"

	"angarium/mailstore"
)

// handleClose leaves the mailbox and removes its messages with \Deleted, without telling of it (RFC 9051, section 6.4.1). In a
// mailbox that was opened with EXAMINE nothing is removed.
func handleClose(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if !s.box.mb.ReadOnly {
		// A mailbox that was deleted meanwhile can be left like any other.
		if _, _, err := s.box.mb.Expunge(ctx, nil); err != nil && !errors.Is(err, mailstore.ErrNoMailbox) {
			return reply{}, err
		}
	}
	s.unselect(ctx)
	return reply{"", "CLOSE completed"}, nil
}

// handleUnselect leaves the mailbox as it is (RFC 9051, section 6.4.2).
func handleUnselect(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	s.unselect(ctx)
	return reply{"", "UNSELECT completed"}, nil
}
