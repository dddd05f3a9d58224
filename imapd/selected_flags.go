package imapd

import (
	"strings"

	"angarium/replica"
	"angarium/replica/state"
)

// maxFlagTexts bounds the combinations of flags whose text a session keeps.
const maxFlagTexts = 64

type flagKey struct {
	flags  state.Flags
	recent bool
}

// flagText gives the flags of a message as they are sent, parentheses included. Most messages of a mailbox share a few
// combinations.
func (b *selected) flagText(l state.Live) string {
	key := flagKey{l.Flags, len(b.recent) > 0 && b.recent.Contains(l.UID)}
	if text, ok := b.text[key]; ok {
		return text
	}
	names := l.Flags.Names(b.keywords)
	if key.recent {
		names = append(names, `\Recent`)
	}
	text := "(" + strings.Join(names, " ") + ")"
	if len(b.text) >= maxFlagTexts {
		clear(b.text)
	}
	if b.text == nil {
		b.text = map[flagKey]string{}
	}
	b.text[key] = text
	return text
}

const systemFlags = `\Answered \Flagged \Deleted \Seen \Draft`

// writeFlags sends FLAGS and PERMANENTFLAGS (RFC 9051, section 7.3.5 and section 7.1).
func (s *session) writeFlags(snap *replica.Snapshot) {
	b := s.box
	b.keywords = snap.Mailbox.Keywords
	list := systemFlags
	if len(b.keywords) > 0 {
		list += " " + strings.Join(b.keywords, " ")
	}
	s.enc.Raw("* FLAGS (").Raw(list).Raw(")\r\n* OK [PERMANENTFLAGS (")
	if !b.mb.ReadOnly {
		s.enc.Raw(list)
		if len(b.keywords) < state.MaxKeywords {
			s.enc.Raw(` \*`)
		}
	}
	s.enc.Raw(")] flags that are kept\r\n")
}

// tellKeywords sends FLAGS when the mailbox has keywords that the client was not told of. It stands before the
// first FETCH that has one.
func (s *session) tellKeywords(snap *replica.Snapshot) {
	if len(snap.Mailbox.Keywords) > len(s.box.keywords) {
		s.writeFlags(snap)
	}
}
