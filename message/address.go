package message

import "bytes"

// addressList collects addresses in IMAP form: "(name adl mailbox host)" one
// after the other (RFC 9051, section 7.5.2), without the outer parentheses.
type addressList struct {
	wire      []byte
	count     int
	truncated bool
}

// addressParser reads a list of addresses (RFC 5322, sections 3.4 and 4.4),
// forgiving what is broken.
type addressParser struct {
	in  []byte
	pos int
	out *addressList
	max int // bytes that out may take

	inGroup bool
	words   []byte // words of the current address, a blank where white space was
	last    int    // where the last word begins in words
	gap     bool   // white space or a comment since the last word
	comment []byte // content of the last comment

	have    bool // mailbox and host are known
	nameEnd int  // words[:nameEnd] is the display name
	route   []byte
	mailbox []byte
	host    []byte
}

// parse appends the addresses of a field's value to out until that has max bytes.
func (out *addressList) parse(value []byte, max int) {
	if len(value) > maxStructuredBytes {
		out.truncated = true
	}
	p := addressParser{in: cut(value, maxStructuredBytes), out: out, max: max}
	for p.pos < len(p.in) && !out.truncated {
		p.step()
	}
	p.flush()
	if p.inGroup {
		p.endGroup()
	}
}

// step reads one lexical element.
func (p *addressParser) step() {
	switch c := p.in[p.pos]; {
	case isSpace(c):
		p.gap = true
		p.pos++
	case c == '(':
		p.readComment()
	case c == '"':
		p.startWord()
		p.words, p.pos = appendQuoted(p.words, p.in, p.pos)
	case c == '<':
		p.readAngle()
	case c == ',':
		p.flush()
		p.pos++
	case c == ';':
		p.flush()
		p.endGroup()
		p.pos++
	case c == ':' && !p.inGroup && !p.have:
		p.startGroup()
		p.pos++
	case c == '@' && !p.have:
		p.readDomainOfWord()
	default:
		p.startWord()
		p.words = append(p.words, c)
		for p.pos++; p.pos < len(p.in) && isWordChar(p.in[p.pos]); p.pos++ {
			p.words = append(p.words, p.in[p.pos])
		}
	}
}

// isWordChar reports whether c continues a word: no white space, and nothing
// that step treats specially.
func isWordChar(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', '(', '"', '<', ',', ';', ':', '@':
		return false
	}
	return true
}

func (p *addressParser) startWord() {
	if p.gap && len(p.words) > 0 {
		p.words = append(p.words, ' ')
		p.last = len(p.words)
	}
	p.gap = false
}

func (p *addressParser) readComment() {
	end := commentEnd(p.in, p.pos)
	text := bytes.TrimSuffix(p.in[p.pos+1:end], []byte(")"))
	p.comment = p.comment[:0]
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		} else if text[i] == '\r' || text[i] == '\n' {
			continue
		}
		p.comment = append(p.comment, text[i])
	}
	p.pos, p.gap = end, true
}

// readDomainOfWord reads "@domain" where the mailbox is the last word before
// it. Words before that are a display name that lacks its angle brackets.
func (p *addressParser) readDomainOfWord() {
	start := p.last
	for start >= 2 && (start < len(p.words) && p.words[start] == '.' || p.words[start-2] == '.') {
		// RFC 5322, section 4.4 allows white space around the dots of a local part.
		start = bytes.LastIndexByte(p.words[:start-1], ' ') + 1
	}
	p.mailbox = append(p.mailbox[:0], p.words[start:]...)
	if start != p.last {
		p.mailbox = bytes.ReplaceAll(p.mailbox, []byte(" "), nil)
	}
	p.pos++
	p.readDomain()
	p.nameEnd, p.have = start, true
	p.words = append(append(p.words, '@'), p.host...)
}

// readDomain reads a domain or domain literal into host.
func (p *addressParser) readDomain() {
	p.host = p.host[:0]
	for p.skip(); p.pos < len(p.in); p.skip() {
		c := p.in[p.pos]
		switch {
		case c == '[':
			end := bytes.IndexByte(p.in[p.pos:], ']')
			if end < 0 {
				end = len(p.in) - p.pos - 1
			}
			p.host = append(p.host, unfold(p.in[p.pos:p.pos+end+1])...)
			p.pos += end + 1
			return
		case !isWordChar(c) || c == '>':
			return
		case len(p.host) > 0 && c != '.' && p.host[len(p.host)-1] != '.':
			return
		}
		for p.pos < len(p.in) && isWordChar(p.in[p.pos]) && p.in[p.pos] != '>' {
			p.host = append(p.host, p.in[p.pos])
			p.pos++
		}
	}
}

// skip passes white space and comments.
func (p *addressParser) skip() {
	for p.pos < len(p.in) {
		switch c := p.in[p.pos]; {
		case isSpace(c):
			p.gap = true
			p.pos++
		case c == '(':
			p.readComment()
		default:
			return
		}
	}
}

// readAngle reads "<@route:mailbox@domain>". All words before it are the name.
func (p *addressParser) readAngle() {
	p.pos++
	p.have, p.nameEnd = true, len(p.words)
	p.route, p.mailbox, p.host = p.route[:0], p.mailbox[:0], p.host[:0]
	p.skip()
	p.readRoute()
	p.readMailbox()
	if p.pos < len(p.in) && p.in[p.pos] == '@' {
		p.pos++
		p.readDomain()
	}
	for p.pos < len(p.in) && p.in[p.pos] != ',' {
		p.pos++
		if p.in[p.pos-1] == '>' {
			return
		}
	}
}

// readRoute reads an obsolete source route, if there is one.
func (p *addressParser) readRoute() {
	if p.pos >= len(p.in) || p.in[p.pos] != '@' {
		return
	}
	// The search is short, or a list of unfinished routes would take quadratic time.
	rest := p.in[p.pos:min(len(p.in), p.pos+maxValueBytes)]
	if end := bytes.IndexByte(rest, '>'); end >= 0 {
		rest = rest[:end]
	}
	end := bytes.IndexByte(rest, ':')
	if end < 0 {
		return
	}
	for _, c := range rest[:end] {
		if !isSpace(c) {
			p.route = append(p.route, c)
		}
	}
	p.pos += end + 1
	p.skip()
}

// readMailbox reads a local part up to "@" or ">".
func (p *addressParser) readMailbox() {
	for p.skip(); p.pos < len(p.in); p.skip() {
		switch c := p.in[p.pos]; c {
		case '@', '>':
			return
		case '"':
			p.mailbox, p.pos = appendQuoted(p.mailbox, p.in, p.pos)
		default:
			p.mailbox = append(p.mailbox, c)
			p.pos++
		}
	}
}

func (p *addressParser) startGroup() {
	if p.room() {
		p.out.wire = append(p.out.wire, "(NIL NIL "...)
		p.out.wire = appendString(p.out.wire, cut(p.words, maxValueBytes))
		p.out.wire = append(p.out.wire, " NIL)"...)
		p.inGroup = true
	}
	p.reset()
}

func (p *addressParser) endGroup() {
	if p.inGroup {
		p.out.wire = append(p.out.wire, "(NIL NIL NIL NIL)"...)
		p.inGroup = false
	}
}

// room reports whether one more address may be written.
func (p *addressParser) room() bool {
	if p.out.count >= MaxAddresses || len(p.out.wire) >= p.max {
		p.out.truncated = true
		return false
	}
	p.out.count++
	return true
}

// flush writes the address read so far, if any.
func (p *addressParser) flush() {
	defer p.reset()
	if !p.have {
		p.mailbox, p.host, p.nameEnd = append(p.mailbox[:0], p.words...), p.host[:0], 0
	}
	name := bytes.TrimSpace(p.words[:p.nameEnd])
	if len(name)+len(p.mailbox)+len(p.host) == 0 || !p.room() {
		return
	}
	if len(name) == 0 {
		name = bytes.TrimSpace(p.comment)
	}
	w := append(p.out.wire, '(')
	w = appendNString(w, nilIfEmpty(cut(name, maxValueBytes)))
	w = append(w, ' ')
	w = appendNString(w, nilIfEmpty(cut(p.route, maxValueBytes)))
	w = append(w, ' ')
	w = appendString(w, cut(p.mailbox, maxValueBytes))
	w = append(w, ' ')
	w = appendString(w, cut(p.host, maxValueBytes))
	p.out.wire = append(w, ')')
}

func (p *addressParser) reset() {
	p.words, p.comment, p.route = p.words[:0], p.comment[:0], p.route[:0]
	p.last, p.gap, p.have, p.nameEnd = 0, false, false, 0
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
