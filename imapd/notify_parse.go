package imapd

import "fmt"

// Bounds of one NOTIFY.
const (
	maxNotifyGroups = 100
	maxNotifyNames  = 1000 // in all groups
)

// supportedEvents is what NOTIFY can ask for here, as BADEVENT tells it.
const supportedEvents = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange"

// notifyRequest is the arguments of NOTIFY.
type notifyRequest struct {
	settings notifySettings
	status   bool

	selectors   int  // SELECTED and SELECTED-DELAYED
	unsupported bool // events are asked for that the server does not know of
	names       int
}

// parseNotify parses the arguments of NOTIFY (RFC 5465, section 8).
func (s *session) parseNotify() (*notifyRequest, error) {
	req := &notifyRequest{}
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	word, err := s.r.Keyword()
	if err != nil {
		return nil, err
	}
	switch word {
	case "NONE":
		return req, s.r.CRLF()
	case "SET":
		err = s.parseNotifySet(req)
	default:
		err = s.bad("Expected SET or NONE")
	}
	if err == nil {
		err = s.r.CRLF()
	}
	if err == nil && req.unsupported {
		err = s.no("BADEVENT ("+supportedEvents+")", "There are no notifications of some of these events")
	}
	return req, err
}

// parseNotifySet parses [SP "STATUS"] 1*(SP event-group).
func (s *session) parseNotifySet(req *notifyRequest) error {
	if err := s.r.SP(); err != nil {
		return err
	}
	c, err := s.r.Peek()
	if err != nil {
		return err
	}
	if c != '(' {
		if word, err := s.r.Keyword(); err != nil {
			return err
		} else if word != "STATUS" {
			return s.bad("Expected STATUS or an event group")
		}
		req.status = true
		if err := s.r.SP(); err != nil {
			return err
		}
	}
	for n := 1; ; n++ {
		if n > maxNotifyGroups {
			return s.no("NOTIFICATIONOVERFLOW", fmt.Sprintf("At most %d event groups", maxNotifyGroups))
		}
		if err := s.parseNotifyGroup(req); err != nil {
			return err
		}
		if end, err := s.r.AtCRLF(); err != nil || end {
			return err
		}
		if err := s.r.SP(); err != nil {
			return err
		}
	}
}

// parseNotifyGroup parses "(" filter-mailboxes SP events ")".
func (s *session) parseNotifyGroup(req *notifyRequest) error {
	if err := s.r.OpenParen(); err != nil {
		return err
	}
	filter, err := s.r.Keyword()
	if err != nil {
		return err
	}
	p := &notifyEventParser{s: s, req: req}
	var group notifyGroup
	switch filter {
	case "SELECTED", "SELECTED-DELAYED":
		p.selected = true
		if req.selectors++; req.selectors > 1 {
			return s.bad("SELECTED or SELECTED-DELAYED, once")
		}
		req.settings.delayed = filter == "SELECTED-DELAYED"
	case "INBOXES", "PERSONAL":
		group.filter = filterPersonal
	case "SUBSCRIBED":
		group.filter = filterSubscribed
	case "SUBTREE":
		group.filter = filterSubtree
		group.names, err = s.parseNotifyNames(req)
	case "MAILBOXES":
		group.filter = filterMailboxes
		group.names, err = s.parseNotifyNames(req)
	default:
		err = s.bad("Unknown mailbox specifier of NOTIFY")
	}
	if err != nil {
		return err
	}
	if err := s.r.SP(); err != nil {
		return err
	}
	if group.events, err = p.events(); err != nil {
		return err
	}
	if p.selected {
		req.settings.selected = group.events
	} else {
		req.settings.groups = append(req.settings.groups, group)
	}
	return s.r.CloseParen()
}

// parseNotifyNames parses SP and a mailbox name, or several in parentheses.
func (s *session) parseNotifyNames(req *notifyRequest) ([]string, error) {
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	var names []string
	one := func() error {
		if req.names++; req.names > maxNotifyNames {
			return s.no("NOTIFICATIONOVERFLOW", fmt.Sprintf("At most %d mailbox names", maxNotifyNames))
		}
		name, err := s.r.Mailbox()
		names = append(names, name)
		return err
	}
	c, err := s.r.Peek()
	if err != nil {
		return nil, err
	}
	if c == '(' {
		err = s.r.List(one)
	} else {
		err = one()
	}
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, s.bad("Expected mailbox names")
	}
	return names, nil
}

// notifyEventParser parses the events of one group.
type notifyEventParser struct {
	s        *session
	req      *notifyRequest
	selected bool   // the group is SELECTED or SELECTED-DELAYED
	last     string // the event before

	found      notifyEvents
	annotation bool
}

// events parses a list of events, or NONE.
func (p *notifyEventParser) events() (notifyEvents, error) {
	s := p.s
	c, err := s.r.Peek()
	if err != nil {
		return 0, err
	}
	if c != '(' {
		if word, err := s.r.Keyword(); err != nil {
			return 0, err
		} else if word != "NONE" {
			return 0, s.bad("Expected events in parentheses, or NONE")
		}
		return 0, nil
	}
	if err := s.r.List(p.event); err != nil {
		return 0, err
	}
	switch both := messageNew | messageExpunge; { // RFC 5465, section 5
	case p.last == "":
		return 0, s.bad("Expected events")
	case p.found&both != 0 && p.found&both != both:
		return 0, s.bad("MessageNew and MessageExpunge come together")
	case (p.found&flagChange != 0 || p.annotation) && p.found&both == 0:
		return 0, s.bad("FlagChange and AnnotationChange need MessageNew and MessageExpunge")
	}
	return p.found, nil
}

// event parses one event, or the list of data items behind MessageNew.
func (p *notifyEventParser) event() error {
	s := p.s
	c, err := s.r.Peek()
	if err != nil {
		return err
	}
	if c == '(' && p.last == "MESSAGENEW" {
		p.last = "("
		return p.fetchItems()
	}
	if p.last, err = s.r.Keyword(); err != nil {
		return err
	}
	switch p.last {
	case "MESSAGENEW":
		p.found |= messageNew
	case "MESSAGEEXPUNGE":
		p.found |= messageExpunge
	case "FLAGCHANGE":
		p.found |= flagChange
	case "ANNOTATIONCHANGE":
		p.annotation, p.req.unsupported = true, true
	case "MAILBOXNAME":
		return p.nameEvent(mailboxName)
	case "SUBSCRIPTIONCHANGE":
		return p.nameEvent(subscriptionChange)
	case "MAILBOXMETADATACHANGE", "SERVERMETADATACHANGE":
		p.req.unsupported = true
		return p.nameEvent(0)
	default: // an event of an extension
		p.req.unsupported = true
	}
	return nil
}

// nameEvent takes an event that is not about messages.
func (p *notifyEventParser) nameEvent(e notifyEvents) error {
	if p.selected { // RFC 5465, section 6.1
		return p.s.bad("Only events of messages go with SELECTED and SELECTED-DELAYED")
	}
	p.found |= e
	return nil
}

// fetchItems parses the data items that are told of new messages in the selected mailbox.
func (p *notifyEventParser) fetchItems() error {
	s := p.s
	if !p.selected {
		return s.bad("Data items go with SELECTED and SELECTED-DELAYED only")
	}
	f, n := &fetchRequest{}, 0
	err := s.r.List(func() error {
		n++
		return s.parseFetchItem(f, false)
	})
	if err == nil && n == 0 {
		err = s.bad("Expected data items")
	}
	p.req.settings.fetch = f
	return err
}
