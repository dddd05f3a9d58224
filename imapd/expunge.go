package imapd

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
)

// handleExpunge removes all messages with \Deleted (RFC 9051, section 6.4.3).
func handleExpunge(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	return s.expunge(ctx, nil)
}

// uidExpunge removes the messages with \Deleted among some (RFC 9051, section 6.4.9).
func (s *session) uidExpunge(ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	set, err := s.r.NumSet()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	uids, err := s.resolve(set, true)
	if err != nil {
		return reply{}, err
	}
	if len(uids) == 0 { // and not nil, which means all
		uids = event.UIDSet{}
	}
	return s.expunge(ctx, uids)
}

// expunge removes messages with \Deleted, of those in uids if it is not nil, and tells of them.
func (s *session) expunge(ctx context.Context, uids event.UIDSet) (reply, error) {
	if err := s.writable(); err != nil {
		return reply{}, err
	}
	gone, _, err := s.box.mb.Expunge(ctx, uids)
	if err != nil {
		return reply{}, err
	}
	if err := s.writeChanges(ctx, s.wanted()|messageExpunge); err != nil {
		return reply{}, err
	}
	return reply{s.goneCode(gone), "EXPUNGE completed"}, nil
}

// goneCode is the response code for an OK after messages were removed: the client may then forget about all that
// happened up to this modseq (RFC 7162, section 3.2.7).
func (s *session) goneCode(gone event.UIDSet) string {
	if !s.qresync || len(gone) == 0 || s.box.withheld != 0 {
		return ""
	}
	return fmt.Sprintf("HIGHESTMODSEQ %d", s.box.snap.Mailbox.HighestModseq)
}

// writable refuses to change a mailbox that was opened with EXAMINE.
func (s *session) writable() error {
	if s.box.mb.ReadOnly {
		return s.no("", "The mailbox was opened read-only")
	}
	return nil
}
