package imapd

import (
	"context"
	"fmt"
	"strings"
)

// Limits of ID (RFC 2971, section 3.3).
const (
	maxIDFields     = 30
	maxIDFieldBytes = 30
	maxIDValueBytes = 1024

	// What of it is logged: everybody can send it, before login.
	maxIDLogged      = 10
	maxIDValueLogged = 80 // characters
)

// handleID exchanges who client and server are (RFC 2971). What the client says is logged, once, and otherwise of no consequence.
func handleID(s *session, _ context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	fields, err := s.readID()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if len(fields) > 0 && !s.sentID {
		s.sentID = true
		s.log.Info("client told its ID", "id", strings.Join(fields, " "))
	}
	s.enc.Raw("* ID (").String("name").SP().String(s.srv.opts.Name)
	if v := s.srv.opts.Version; v != "" {
		s.enc.SP().String("version").SP().String(v)
	}
	s.enc.Raw(")").CRLF()
	return reply{text: "ID told"}, nil
}

// readID parses NIL or a list of fields and values, and returns them as they are logged.
func (s *session) readID() ([]string, error) {
	c, err := s.r.Peek()
	if err != nil {
		return nil, err
	}
	if c != '(' {
		_, ok, err := s.r.NString()
		if err == nil && ok {
			err = s.bad("ID wants NIL or a list")
		}
		return nil, err
	}
	var fields []string
	n := 0
	err = s.r.List(func() error {
		field, err := s.r.String()
		if err != nil {
			return err
		}
		if err := s.r.SP(); err != nil {
			return err
		}
		value, ok, err := s.r.NString()
		if err != nil {
			return err
		}
		if len(field) > maxIDFieldBytes || len(value) > maxIDValueBytes || n >= maxIDFields {
			return s.bad("ID is too long")
		}
		if n++; ok && len(fields) < maxIDLogged {
			fields = append(fields, fmt.Sprintf("%q=%.*q", strings.ToLower(field), maxIDValueLogged, value))
		}
		return nil
	})
	return fields, err
}
