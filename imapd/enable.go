package imapd

import "context"

// maxEnable bounds the capabilities of one ENABLE.
const maxEnable = 100

// handleEnable enables what it knows and tells what became enabled (RFC 5161). QRESYNC brings CONDSTORE along (RFC 7162, section 3.2.3).
func handleEnable(s *session, _ context.Context) (reply, error) {
	var asked []string
	for {
		if err := s.r.SP(); err != nil {
			return reply{}, err
		}
		name, err := s.r.Keyword()
		if err != nil {
			return reply{}, err
		}
		if asked = append(asked, name); len(asked) > maxEnable {
			return reply{}, s.bad("Too many capabilities")
		}
		if end, err := s.r.AtCRLF(); err != nil {
			return reply{}, err
		} else if end {
			break
		}
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	var enabled []string
	condstore := func() {
		if s.enableCondstore() {
			enabled = append(enabled, "CONDSTORE")
		}
	}
	for _, name := range asked {
		switch name {
		case "CONDSTORE":
			condstore()
		case "QRESYNC":
			condstore()
			if !s.qresync {
				s.qresync = true
				enabled = append(enabled, name)
			}
		case "IMAP4REV2":
			if !s.rev2 {
				s.enableRev2()
				enabled = append(enabled, "IMAP4rev2")
			}
		}
	}
	s.enc.Raw("* ENABLED")
	for _, name := range enabled {
		s.enc.SP().Raw(name)
	}
	s.enc.CRLF()
	return reply{text: "Enabled"}, nil
}
