package notify

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"angarium/eventlog/event"
)

// ContentMode is what messageContent has of a new message: Cyrus's event_content_inclusion_mode.
type ContentMode int

// The content modes. The limit of Filter.ContentBytes cuts the message, the header or the body; with ContentHeaderBody the body.
const (
	ContentNone ContentMode = iota
	ContentHeader
	ContentBody
	ContentHeaderBody
	ContentMessage
)

var contentModes = [...]string{"none", "header", "body", "headerbody", "message"}

// String names the mode as ParseContentMode reads it.
func (m ContentMode) String() string {
	if m < 0 || int(m) >= len(contentModes) {
		return fmt.Sprintf("content(%d)", int(m))
	}
	return contentModes[m]
}

// ParseContentMode finds a mode by its name; "" is ContentNone.
func ParseContentMode(s string) (ContentMode, error) {
	for i, name := range contentModes {
		if strings.EqualFold(s, name) {
			return ContentMode(i), nil
		}
	}
	if s == "" {
		return ContentNone, nil
	}
	return 0, fmt.Errorf("unknown content mode %q: want none, header, body, headerbody or message", s)
}

// fill adds the content of a new message, if the filter wants it. A message that cannot be read leaves the event without it, and marked.
func (s *Sieve) fill(e *Event, read func(event.GUID) ([]byte, error)) *Event {
	if s.content == ContentNone || e.Content == nil {
		return e
	}
	full, content := *e, *e.Content
	full.Content = &content
	full.Degraded = append([]string(nil), e.Degraded...)
	raw, err := read(e.guid)
	if err != nil {
		full.degrade("messageContent")
		full.seal()
		return &full
	}
	var whole bool
	content.MessageContent, whole = textOf(s.section(raw))
	if !whole {
		full.degrade("messageContent")
	}
	full.seal()
	return &full
}

// section cuts what the mode asks for out of a message.
func (s *Sieve) section(raw []byte) []byte {
	header, body := splitMessage(raw)
	switch s.content {
	case ContentHeader:
		return cut(header, s.limit)
	case ContentBody:
		return cut(body, s.limit)
	case ContentHeaderBody:
		return raw[:min(len(cut(header, MaxContentBytes))+min(len(body), s.limit), len(raw), MaxContentBytes)]
	}
	return cut(raw, s.limit)
}

func cut(b []byte, limit int) []byte { return b[:min(len(b), limit)] }

// splitMessage splits a message behind the empty line that ends its header.
func splitMessage(raw []byte) (header, body []byte) {
	for at := 0; at < len(raw); {
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			break
		}
		line := raw[at : at+end]
		at += end + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return raw[:at], raw[at:]
		}
	}
	return raw, nil
}

// textOf makes a string of UTF-8; ok is false when bytes had to be replaced. A character that the limit cut through is left out.
func textOf(b []byte) (s string, ok bool) {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	return imapText(b, len(b))
}
