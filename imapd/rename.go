package imapd

import "context"

// handleRename serves RENAME (RFC 9051, section 6.3.6). Subscriptions are to names and stay as they are.
func handleRename(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	from, err := s.r.Mailbox()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	to, err := s.r.Mailbox()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if err := s.srv.opts.Store.RenameMailbox(ctx, s.id, s.id.Account, from, to); err != nil {
		return reply{}, err
	}
	if s.rev2 {
		s.writeOldName(to, from)
	}
	return reply{text: "Mailbox renamed"}, nil
}
