package imapd

import (
	"context"
	"strings"

	"angarium/imapd/wire"
	"angarium/mailstore"
)

// handleCreate serves CREATE with USE (RFC 9051, section 6.3.4; RFC 6154, section 3) and tells the new mailbox's id (RFC 8474).
func handleCreate(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	asked, name, err := s.mailboxAsGiven()
	if err != nil {
		return reply{}, err
	}
	var uses []string
	if end, err := s.r.AtCRLF(); err != nil {
		return reply{}, err
	} else if !end {
		if uses, err = s.createUses(); err != nil {
			return reply{}, err
		}
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	id, err := s.srv.opts.Store.CreateMailbox(ctx, s.id, s.id.Account, mailstore.NewMailbox{Name: name, SpecialUse: uses})
	if err != nil {
		return reply{}, err
	}
	if s.rev2 && name != strings.TrimSuffix(asked, mailstore.Separator) {
		s.writeOldName(name, asked)
	}
	return reply{"MAILBOXID (" + id.String() + ")", "Mailbox created"}, nil
}

// mailboxAsGiven parses a mailbox name, and returns it as the client wrote it and as it is kept.
func (s *session) mailboxAsGiven() (asked, name string, err error) {
	if asked, err = s.r.AString(); err != nil {
		return "", "", err
	}
	if !s.utf8 {
		if asked, err = wire.DecodeUTF7(asked); err != nil {
			return "", "", &wire.NameError{Msg: "is not valid modified UTF-7"}
		}
	}
	name, err = wire.NormalizeMailbox(asked, mailstore.Separator[0])
	return asked, name, err
}

// createUses parses the parameters of CREATE; USE is the only one there is.
func (s *session) createUses() ([]string, error) {
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	var uses []string
	err := s.r.List(func() error {
		param, err := s.r.Keyword()
		if err != nil {
			return err
		}
		if param != "USE" || uses != nil {
			return s.bad("CREATE knows the parameter USE, once")
		}
		if err := s.r.SP(); err != nil {
			return err
		}
		list, err := s.r.FlagList()
		if err != nil {
			return err
		}
		uses = make([]string, 0, len(list))
		for _, u := range list {
			uses = append(uses, canonicalUse(u))
		}
		return nil
	})
	return uses, err
}

// canonicalUse gives a special use in its usual spelling; one that is not known stays as it is.
func canonicalUse(use string) string {
	for _, u := range mailstore.SpecialUses() {
		if strings.EqualFold(u, use) {
			return u
		}
	}
	return use
}

// writeOldName tells an IMAP4rev2 client under which name a mailbox is now that it knows under another (RFC 9051, section 6.3.9.7).
func (s *session) writeOldName(name, old string) {
	s.enc.Raw(`* LIST () "` + mailstore.Separator + `" `).Mailbox(name).Raw(` ("OLDNAME" (`).Mailbox(old).Raw("))").CRLF()
}
