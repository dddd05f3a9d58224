package imapd

import "context"

// handleSubscribe serves SUBSCRIBE (RFC 9051, section 6.3.7). The mailbox need not exist.
func handleSubscribe(s *session, ctx context.Context) (reply, error) {
	return s.subscribe(ctx, true)
}

func handleUnsubscribe(s *session, ctx context.Context) (reply, error) {
	return s.subscribe(ctx, false)
}

func (s *session) subscribe(ctx context.Context, on bool) (reply, error) {
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
	if err := s.srv.opts.Store.Subscribe(ctx, s.id, s.id.Account, name, on); err != nil {
		return reply{}, err
	}
	if on {
		return reply{text: "Subscribed"}, nil
	}
	return reply{text: "Unsubscribed"}, nil
}
