package imapd

import "context"

func handleLogout(s *session, _ context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	s.bye("", "Logging out")
	s.enc.Status(s.tag, "OK", "", "Logged out")
	return reply{}, errBye
}
