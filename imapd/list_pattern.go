package imapd

import (
	"strings"

	"angarium/mailstore"
)

// pattern is a mailbox name with wildcards: "*" stands for anything, "%" for anything without a separator (RFC 9051, section 6.3.9).
type pattern struct {
	text  string
	reach []bool // scratch
}

func newPattern(text string) *pattern { return &pattern{text: text} }

// hasStar says whether the pattern can match mailboxes on any level.
func (p *pattern) hasStar() bool { return strings.Contains(p.text, "*") }

// match says whether a name fits. INBOX is compared without regard to case. It takes len(pattern) × len(name) steps at most,
// whatever the wildcards: reach holds, for the part of the pattern looked at, which beginnings of the name fit it.
func (p *pattern) match(name string) bool {
	if cap(p.reach) <= len(name) {
		p.reach = make([]bool, len(name)+1)
	}
	reach := p.reach[:len(name)+1]
	clear(reach)
	reach[0] = true
	folded := inboxPrefix(name)
	for i := 0; i < len(p.text); i++ {
		any := false
		switch c := p.text[i]; c {
		case '*', '%':
			for k := 1; k <= len(name); k++ {
				reach[k] = reach[k] || reach[k-1] && (c == '*' || name[k-1] != mailstore.Separator[0])
			}
			any = true // what fitted still does
		default:
			for k := len(name); k > 0; k-- {
				reach[k] = reach[k-1] && (name[k-1] == c || k <= folded && name[k-1] == upper(c))
				any = any || reach[k]
			}
			reach[0] = false
		}
		if !any {
			return false
		}
	}
	return reach[len(name)]
}

// inboxPrefix gives how many octets at the beginning of a name are INBOX, and so the same in any case.
func inboxPrefix(name string) int {
	first, _, _ := strings.Cut(name, mailstore.Separator)
	if first == mailstore.Inbox {
		return len(first)
	}
	return 0
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
