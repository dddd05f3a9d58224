package imapd

import "context"

// handleDelete serves DELETE (RFC 9051, section 6.3.5). The session that deletes the mailbox it has selected is in the authenticated
// state afterwards; others that have it selected get BYE.
func handleDelete(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	name, err := s.r.Mailbox()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if err := s.srv.opts.Store.DeleteMailbox(ctx, s.id, s.id.Account, name); err != nil {
		return reply{}, err
	}
	if s.box != nil && s.box.mb.Snapshot().Deleted {
		s.unselect(ctx)
	}
	return reply{text: "Mailbox deleted"}, nil
}
