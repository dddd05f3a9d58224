package imapd

import "context"

// handleMove carries out MOVE (RFC 6851, RFC 9051, section 6.4.8).
func handleMove(s *session, ctx context.Context) (reply, error) { return s.move(ctx, false) }

// move says where the messages went before it says that they are gone (RFC 6851, section 4.3).
func (s *session) move(ctx context.Context, byUID bool) (reply, error) {
	uids, to, err := s.transferArgs(ctx, byUID)
	if err != nil {
		return reply{}, err
	}
	if err := s.writable(); err != nil {
		return reply{}, err
	}
	res, err := s.box.mb.Move(ctx, uids, to)
	if err != nil {
		return reply{}, s.tryCreate(err)
	}
	if len(res.Source) == 0 {
		return reply{"", "MOVE completed; there was nothing to move"}, nil
	}
	s.enc.Status("*", "OK", copyUID(res), "moved")
	s.ownCopies(ctx, to, res)
	if err := s.writeChanges(ctx, s.wanted()|messageExpunge); err != nil {
		return reply{}, err
	}
	return reply{s.goneCode(res.Source), "MOVE completed"}, nil
}
