package imapd

import "context"

// handleNoop serves NOOP and CHECK (RFC 3501, section 6.4.1): the dispatcher tells what has changed. Nothing else is left to be
// done for CHECK: what was answered is on disk.
func handleNoop(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if err := s.tellNews(ctx); err != nil {
		return reply{}, err
	}
	return reply{text: "Done"}, nil
}
