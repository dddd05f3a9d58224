package imapd

import (
	"context"
	"fmt"

	"angarium/eventlog/event"
	"angarium/mailstore"
)

// handleCopy carries out COPY (RFC 9051, section 6.4.7).
func handleCopy(s *session, ctx context.Context) (reply, error) { return s.copy(ctx, false) }

func (s *session) copy(ctx context.Context, byUID bool) (reply, error) {
	uids, to, err := s.transferArgs(ctx, byUID)
	if err != nil {
		return reply{}, err
	}
	res, err := s.box.mb.Copy(ctx, uids, to)
	if err != nil {
		return reply{}, s.tryCreate(err)
	}
	if len(res.Source) == 0 {
		return reply{"", "COPY completed; there was nothing to copy"}, nil
	}
	s.ownCopies(ctx, to, res)
	return reply{copyUID(res), "COPY completed"}, nil
}

// transferArgs parses the arguments of COPY and MOVE. A message that was expunged meanwhile is passed over if it was named by
// UID; if by sequence number the command fails, and nothing is copied (RFC 2180, section 4.4.1).
func (s *session) transferArgs(ctx context.Context, byUID bool) (event.UIDSet, string, error) {
	if err := s.r.SP(); err != nil {
		return nil, "", err
	}
	set, err := s.r.NumSet()
	if err != nil {
		return nil, "", err
	}
	if err := s.r.SP(); err != nil {
		return nil, "", err
	}
	to, err := s.r.Mailbox()
	if err != nil {
		return nil, "", err
	}
	if err := s.r.CRLF(); err != nil {
		return nil, "", err
	}
	if err := s.catchUp(ctx, byUID); err != nil {
		return nil, "", err
	}
	uids, err := s.resolve(set, byUID)
	if err != nil {
		return nil, "", err
	}
	if !byUID && s.box.anyGone(uids) {
		return nil, "", s.no("EXPUNGEISSUED", "Some of the messages no longer exist")
	}
	return uids, to, nil
}

// copyUID is the response code COPYUID (RFC 4315, section 3): the n-th UID of the second set is the copy of the n-th of the first.
func copyUID(t mailstore.Transferred) string {
	dest := event.UIDSet{{First: t.First, Last: t.First + uint32(t.Source.Len()) - 1}}
	return fmt.Sprintf("COPYUID %d %s %s", t.UIDValidity, t.Source, dest)
}
