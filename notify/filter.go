package notify

import (
	"fmt"
	"slices"
	"strings"

	"angarium/eventlog/event"
)

// Filter says which events a sink or a watcher gets, and with what. The zero Filter lets everything pass, without content.
type Filter struct {
	Accounts          []string    // accounts whose events pass [all]
	Groups            []Group     // groups that pass [all]
	Events            []Name      // events that pass, of those groups [all]
	ExcludeFlags      []string    // flags that are not spoken of
	ExcludeSpecialUse []string    // special uses (RFC 6154) whose mailboxes are not spoken of; "ALL": no mailbox but INBOX
	Content           ContentMode // what messageContent has [ContentNone]
	ContentBytes      int         // at most so many bytes of it [64 KiB], up to MaxContentBytes
}

const defaultContentBytes = 64 << 10

// MaxContentBytes is the most that Filter.ContentBytes can be. In JSON a byte can take six.
const MaxContentBytes = 256 << 10

// excludeAll is the special use that stands for every mailbox but INBOX, as in Cyrus.
const excludeAll = "ALL"

// Check says what is wrong with a filter.
func (f *Filter) Check() error {
	for _, g := range f.Groups {
		if _, err := ParseGroup(string(g)); err != nil {
			return err
		}
	}
	for _, n := range f.Events {
		if n.Group() == "" {
			return fmt.Errorf("unknown event %q", n)
		}
	}
	if f.Content < ContentNone || f.Content > ContentMessage {
		return fmt.Errorf("unknown content mode %d", f.Content)
	}
	if f.ContentBytes < 0 || f.ContentBytes > MaxContentBytes {
		return fmt.Errorf("content of %d bytes: want 0 to %d", f.ContentBytes, MaxContentBytes)
	}
	return nil
}

// Sieve is a Filter made ready for use.
type Sieve struct {
	accounts map[string]bool // nil: all
	names    map[Name]bool
	flags    []string
	uses     []string
	onlyBox  bool // INBOX
	content  ContentMode
	limit    int
}

// Sieve makes a filter that passed Check ready for use.
func (f *Filter) Sieve() *Sieve {
	s := &Sieve{names: map[Name]bool{}, flags: f.ExcludeFlags, uses: f.ExcludeSpecialUse, content: f.Content, limit: f.ContentBytes}
	if s.limit == 0 {
		s.limit = defaultContentBytes
	}
	if len(f.Accounts) > 0 {
		s.accounts = map[string]bool{}
		for _, a := range f.Accounts {
			s.accounts[a] = true
		}
	}
	for _, n := range Names() {
		s.names[n] = (len(f.Groups) == 0 || slices.Contains(f.Groups, n.Group())) && (len(f.Events) == 0 || slices.Contains(f.Events, n))
	}
	s.onlyBox = slices.ContainsFunc(s.uses, func(u string) bool { return strings.EqualFold(u, excludeAll) })
	return s
}

// Apply gives the event as it is to be sent: e itself, one with fewer flags or with content, or nil when it is not to be sent. read gives the
// message of an event, as Feed.ReadBody does.
func (s *Sieve) Apply(e *Event, read func(event.GUID) ([]byte, error)) *Event {
	if e = s.pass(e); e == nil {
		return nil
	}
	return s.fill(e, read)
}

// pass gives the event as it is to be sent, without content: e itself, one with fewer flags, or nil when it is not to be sent.
func (s *Sieve) pass(e *Event) *Event {
	if !s.names[e.Event] || s.accounts != nil && !s.accounts[e.User] || e.box != nil && s.excludes(e.box) {
		return nil
	}
	if len(s.flags) == 0 {
		return e
	}
	switch e.Event {
	case MessageRead:
		if hasFlag(s.flags, flagSeen) {
			return nil
		}
	case MessageTrash:
		if hasFlag(s.flags, flagDeleted) {
			return nil
		}
	}
	if e.FlagNames == "" {
		return e
	}
	names := strings.Fields(e.FlagNames)
	left := slices.DeleteFunc(slices.Clone(names), func(f string) bool { return hasFlag(s.flags, f) })
	if len(left) == len(names) {
		return e
	}
	if len(left) == 0 && e.Event.Group() == GroupFlags {
		return nil
	}
	fewer := *e
	fewer.FlagNames = strings.Join(left, " ")
	fewer.seal()
	return &fewer
}

func (s *Sieve) excludes(b *boxFacts) bool {
	if s.onlyBox && !b.inbox {
		return true
	}
	return slices.ContainsFunc(b.specialUse, func(use string) bool {
		return slices.ContainsFunc(s.uses, func(u string) bool { return strings.EqualFold(use, u) })
	})
}
