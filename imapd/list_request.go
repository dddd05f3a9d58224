package imapd

import "angarium/imapd/wire"

// listRequest parses the arguments of LIST.
func (s *session) listRequest() (*listRequest, error) {
	req := &listRequest{}
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	if err := s.listSelection(req); err != nil {
		return nil, err
	}
	reference, err := s.r.Reference()
	if err != nil {
		return nil, err
	}
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	if err := s.listPatterns(req, reference); err != nil {
		return nil, err
	}
	if end, err := s.r.AtCRLF(); err != nil {
		return nil, err
	} else if !end {
		if err := s.listReturn(req); err != nil {
			return nil, err
		}
	}
	if err := s.r.CRLF(); err != nil {
		return nil, err
	}
	if req.recursive && !req.subscribed && !req.specialUse { // RFC 9051, section 6.3.9.1
		return nil, s.bad("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE")
	}
	return req, nil
}

// listSelection parses the selection options and the space behind them, if there are any.
func (s *session) listSelection(req *listRequest) error {
	if c, err := s.r.Peek(); err != nil || c != '(' {
		return err
	}
	req.extended = true
	err := s.r.List(func() error {
		option, err := s.r.Keyword()
		if err != nil {
			return err
		}
		switch option {
		case "SUBSCRIBED":
			req.subscribed = true
		case "SPECIAL-USE":
			req.specialUse = true
		case "RECURSIVEMATCH":
			req.recursive = true
		case "REMOTE":
		default:
			return s.bad("Unknown selection option of LIST")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.r.SP()
}

// listPatterns parses one pattern, or several in parentheses.
func (s *session) listPatterns(req *listRequest, reference string) error {
	one := func() error {
		text, err := s.r.ListMailbox()
		if err != nil {
			return err
		}
		if len(req.patterns) >= s.srv.opts.Limits.ListPatterns {
			return s.bad("Too many patterns")
		}
		if text = reference + text; len(text) > wire.MaxMailboxName {
			return s.bad("The pattern is too long")
		}
		req.empty = text == reference && len(req.patterns) == 0
		req.patterns = append(req.patterns, newPattern(text))
		return nil
	}
	c, err := s.r.Peek()
	if err != nil {
		return err
	}
	if c != '(' {
		return one()
	}
	req.extended = true
	err = s.r.List(one)
	req.empty = false
	if err == nil && len(req.patterns) == 0 {
		err = s.bad("No patterns")
	}
	return err
}

// listReturn parses RETURN and its options.
func (s *session) listReturn(req *listRequest) error {
	req.extended = true
	if err := s.r.SP(); err != nil {
		return err
	}
	word, err := s.r.Keyword()
	if err != nil {
		return err
	}
	if word != "RETURN" {
		return s.bad("Expected RETURN")
	}
	if err := s.r.SP(); err != nil {
		return err
	}
	return s.r.List(func() error {
		option, err := s.r.Keyword()
		if err != nil {
			return err
		}
		switch option {
		case "SUBSCRIBED":
			req.returnSubscribed = true
		case "CHILDREN", "SPECIAL-USE":
		case "STATUS":
			req.status, err = s.statusItems()
		default:
			err = s.bad("Unknown return option of LIST")
		}
		return err
	})
}
