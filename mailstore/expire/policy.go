package expire

import (
	"slices"
	"strings"
	"time"

	"angarium/replica/state"
)

// Policy is what holds for the mailboxes that it matches. A zero value says nothing: the next policy that matches may.
type Policy struct {
	Name string // of the actor in events: "policy:" and this

	// Which mailboxes: all that each pattern that is not empty matches. In patterns "*" is any text and "?" any character.
	Domain     string // of the account, after its last @
	Account    string // canonical name
	Mailbox    string // name
	SpecialUse string // attribute of RFC 6154, as "\Trash": mailboxes with it

	MaxAge      time.Duration
	ByReceived  bool  // MaxAge counts from the internal date, not from the save date
	MaxMessages int   // in the mailbox
	MaxBytes    int64 // of all messages in the mailbox, as received

	KeepExpunged time.Duration // how long expunged messages stay restorable
	KeepDeleted  time.Duration // how long the deleted mailbox does

	Final bool // no later policy is asked
}

// Set is policies in the order in which they are asked, and what holds where none says how long to keep.
type Set struct {
	Policies []Policy
	Keep     Window
}

// Window is how long what is gone stays restorable at least. 0: for good.
type Window struct {
	Expunged time.Duration // messages, since they were expunged
	Deleted  time.Duration // mailboxes, since they were deleted
}

// Rule is a limit and the policy that sets it.
type Rule[T any] struct {
	Policy string
	Limit  T // zero: none
}

// Limits is what the policies say of one mailbox.
type Limits struct {
	Age        Rule[time.Duration]
	ByReceived bool // Age counts from the internal date
	Messages   Rule[int]
	Bytes      Rule[int64]
	Keep       Window
}

// None says that nothing of the mailbox expires.
func (l *Limits) None() bool { return l.Age.Limit == 0 && l.Messages.Limit == 0 && l.Bytes.Limit == 0 }

// For gives what holds for a mailbox: each limit is that of the first policy that matches and sets it.
func (s *Set) For(account, mailbox string, uses []string) Limits {
	l := Limits{Keep: Window{Expunged: -1, Deleted: -1}}
	for i := range s.Policies {
		p := &s.Policies[i]
		if !p.matches(account, mailbox, uses) {
			continue
		}
		if l.Age.Limit == 0 && p.MaxAge > 0 {
			l.Age, l.ByReceived = Rule[time.Duration]{p.Name, p.MaxAge}, p.ByReceived
		}
		if l.Messages.Limit == 0 && p.MaxMessages > 0 {
			l.Messages = Rule[int]{p.Name, p.MaxMessages}
		}
		if l.Bytes.Limit == 0 && p.MaxBytes > 0 {
			l.Bytes = Rule[int64]{p.Name, p.MaxBytes}
		}
		if l.Keep.Expunged < 0 && p.KeepExpunged > 0 {
			l.Keep.Expunged = p.KeepExpunged
		}
		if l.Keep.Deleted < 0 && p.KeepDeleted > 0 {
			l.Keep.Deleted = p.KeepDeleted
		}
		if p.Final {
			break
		}
	}
	if l.Keep.Expunged < 0 {
		l.Keep.Expunged = s.Keep.Expunged
	}
	if l.Keep.Deleted < 0 {
		l.Keep.Deleted = s.Keep.Deleted
	}
	return l
}

// Longest gives the longest of all windows: what is older than it is of no mailbox restorable any more. Bodies are shared by mailboxes and
// accounts, so one whose last message went may only be given up when this has passed.
func (s *Set) Longest() Window {
	longer := func(a, b time.Duration) time.Duration {
		if a == 0 || b == 0 {
			return 0
		}
		return max(a, b)
	}
	w := s.Keep
	for i := range s.Policies {
		p := &s.Policies[i]
		if p.KeepExpunged > 0 {
			w.Expunged = longer(w.Expunged, p.KeepExpunged)
		}
		if p.KeepDeleted > 0 {
			w.Deleted = longer(w.Deleted, p.KeepDeleted)
		}
	}
	return w
}

// Limiting says that some policy has a limit.
func (s *Set) Limiting() bool {
	return slices.ContainsFunc(s.Policies, func(p Policy) bool { return p.MaxAge > 0 || p.MaxMessages > 0 || p.MaxBytes > 0 })
}

func (p *Policy) matches(account, mailbox string, uses []string) bool {
	domain := ""
	if at := strings.LastIndexByte(account, '@'); at >= 0 {
		domain = account[at+1:]
	}
	return fits(p.Domain, domain) && fits(p.Account, account) && fits(p.Mailbox, mailbox) &&
		(p.SpecialUse == "" || slices.ContainsFunc(uses, func(u string) bool { return strings.EqualFold(u, p.SpecialUse) }))
}

// fits matches a text against a pattern; an empty one fits everything. It takes at most len(text) times len(pattern) steps.
func fits(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			for t++; t < len(text) && text[t]&0xc0 == 0x80; t++ { // the rest of the character
			}
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// limitsOf is For of a mailbox's row.
func (s *Set) limitsOf(m *state.Mailbox) Limits { return s.For(m.Account, m.Name, m.SpecialUse) }
