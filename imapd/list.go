package imapd

import (
	"context"
	"slices"

	"angarium/mailstore"
)

// listRequest is a LIST as it was asked for (RFC 9051, section 6.3.9; RFC 5258, RFC 5819, RFC 6154).
type listRequest struct {
	extended bool // in the syntax of RFC 5258: with options, or several patterns
	patterns []*pattern
	empty    bool // the one pattern is "": the client asks for the separator

	// Selection options. REMOTE adds nothing, for all mailboxes are local.
	subscribed, specialUse, recursive bool

	// Return options. CHILDREN and SPECIAL-USE are told always.
	returnSubscribed bool
	status           []string // items of STATUS
}

// handleList serves LIST. A reference is put before each pattern as it is.
func handleList(s *session, ctx context.Context) (reply, error) {
	req, err := s.listRequest()
	if err != nil {
		return reply{}, err
	}
	if req.empty {
		s.enc.Raw(`* LIST (\Noselect) "` + mailstore.Separator + `" ""`).CRLF()
		return reply{text: "List told"}, nil
	}
	list, err := s.listTree(ctx)
	if err != nil {
		return reply{}, err
	}
	markSelected(list, req.fits)
	for _, e := range list {
		if err := ctx.Err(); err != nil {
			return reply{}, err
		}
		if !req.lists(e) {
			continue
		}
		s.writeList(req, e)
		if len(req.status) > 0 && e.box != nil {
			s.writeStatus(e.box, req.status)
		}
	}
	return reply{text: "List told"}, nil
}

// fits says whether a name is what the selection options ask for.
func (req *listRequest) fits(e *listEntry) bool {
	switch {
	case req.subscribed && !e.subscribed:
		return false
	case req.specialUse:
		return e.box != nil && len(e.box.SpecialUse) > 0
	case req.subscribed:
		return true
	}
	return e.box != nil
}

// lists says whether a name is to be told of.
func (req *listRequest) lists(e *listEntry) bool {
	filtered := req.subscribed || req.specialUse
	switch {
	case e.selected:
		return req.matches(e.name, false)
	case req.recursive:
		return e.below && req.matches(e.name, false)
	}
	// The superior of a mailbox that is none itself is told where the mailbox below it may be out of the pattern's reach.
	return !filtered && e.children && req.matches(e.name, true)
}

func (req *listRequest) matches(name string, oneLevel bool) bool {
	return slices.ContainsFunc(req.patterns, func(p *pattern) bool { return !(oneLevel && p.hasStar()) && p.match(name) })
}

func (s *session) writeList(req *listRequest, e *listEntry) {
	s.writeListed(req, e)
	if req.recursive && e.below {
		s.enc.Raw(` ("CHILDINFO" (`)
		for i, option := range req.selection() {
			if i > 0 {
				s.enc.SP()
			}
			s.enc.Raw(`"` + option + `"`)
		}
		s.enc.Raw("))")
	}
	s.enc.CRLF()
}

// writeListed writes attributes and name of a LIST response, whose end is left to the caller.
func (s *session) writeListed(req *listRequest, e *listEntry) {
	attrs := make([]string, 0, 4)
	switch {
	case e.box == nil && (req.extended || s.rev2):
		attrs = append(attrs, `\NonExistent`)
	case e.box == nil:
		attrs = append(attrs, `\Noselect`)
	}
	if e.subscribed && (req.subscribed || req.returnSubscribed) {
		attrs = append(attrs, `\Subscribed`)
	}
	if e.children {
		attrs = append(attrs, `\HasChildren`)
	} else {
		attrs = append(attrs, `\HasNoChildren`)
	}
	if e.box != nil {
		attrs = append(attrs, e.box.SpecialUse...)
	}
	s.enc.Raw("* LIST ").Flags(attrs).Raw(` "` + mailstore.Separator + `" `).Mailbox(e.name)
}

// selection names the selection options for CHILDINFO.
func (req *listRequest) selection() []string {
	var names []string
	if req.subscribed {
		names = append(names, "SUBSCRIBED")
	}
	if req.specialUse {
		names = append(names, "SPECIAL-USE")
	}
	return names
}
