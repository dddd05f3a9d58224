package message

import (
	"bytes"
	"slices"
)

// Parse reads a message: headers, MIME tree, and what IMAP shows of them. It
// accepts any bytes; doc.go says how broken messages are read. The result shares no memory
// with raw.
func Parse(raw []byte) *Structure {
	const usual = 4 // parts of a message
	s := &scanner{
		raw: raw, parts: make([]Part, 0, usual), mime: make([]mimeFields, 0, usual), stack: make([]frame, 0, usual),
	}
	s.open(-1, 0)
	s.scan()
	st := &Structure{Size: len(raw), Parts: s.parts, Truncated: s.truncated}
	header := st.Parts[0].Header().Of(raw)
	r := renderer{raw: raw, parts: s.parts, mime: s.mime, left: maxDetailBytes}
	var envelopeCut bool
	st.envelope, envelopeCut = appendEnvelope(nil, header, MaxEnvelopeBytes)
	st.bodyStructure, st.cuts = r.render()
	st.fields, st.omitted = cacheFields(header)
	st.Truncated = st.Truncated || envelopeCut || r.truncated
	st.Sent = sentDate(header)
	return st
}

// scanner goes through a message line by line, once, and builds the tree.
type scanner struct {
	raw       []byte
	pos       int
	lines     int // LFs before pos
	claimed   int // the line end before it belongs to a header or opening boundary
	inHeader  bool
	parts     []Part
	mime      []mimeFields // of each part
	stack     []frame      // the open parts, innermost last
	bounds    int          // how many of them have a boundary
	names     int          // bytes that types, charsets and encodings take
	truncated bool
}

// frame is a part whose end hasn't been seen.
type frame struct {
	part     int
	boundary []byte // nil if it is no multipart, or its last part is over
	lines    int    // LFs before its body
}

// mimeFields are the values of the MIME fields of a part, still folded; nil if absent.
type mimeFields struct {
	contentType, encoding, id, description, disposition, language, location, md5 []byte

	params []param // of contentType
}

// open begins a part at pos.
func (s *scanner) open(parent, number int) {
	s.stack = append(s.stack, frame{part: len(s.parts)})
	s.parts = append(s.parts, Part{Parent: parent, Number: number, HeaderStart: s.pos})
	s.mime = append(s.mime, mimeFields{})
	if parent >= 0 {
		s.parts[parent].Children++
	}
	s.inHeader = true
}

func (s *scanner) scan() {
	for s.pos < len(s.raw) {
		if s.bounds > 0 && s.raw[s.pos] == '-' && s.boundaryLine() {
			continue
		}
		switch {
		case s.inHeader && blankLine(s.raw[s.pos:]):
			s.nextLine()
			s.endHeader()
		case s.inHeader || s.bounds > 0:
			s.nextLine()
		default:
			s.lines += bytes.Count(s.raw[s.pos:], []byte("\n"))
			s.pos = len(s.raw)
		}
	}
	for s.inHeader {
		s.endHeader()
	}
	s.close(0, len(s.raw), s.lines)
}

func (s *scanner) nextLine() {
	i := bytes.IndexByte(s.raw[s.pos:], '\n')
	if i < 0 {
		s.pos = len(s.raw)
		return
	}
	s.pos += i + 1
	s.lines++
}

// boundaryLine deals with the line at pos if it is a boundary of an open
// multipart (RFC 2046, section 5.1.1), and reports whether it was.
func (s *scanner) boundaryLine() bool {
	line := s.raw[s.pos:lineEnd(s.raw, s.pos)]
	if len(line) < 2 || line[1] != '-' {
		return false
	}
	at, last := s.matchBoundary(bytes.TrimRight(line[2:], " \t\r\n"))
	if at < 0 {
		return false
	}
	for s.inHeader {
		s.endHeader()
	}
	// The line end before the boundary belongs to it, unless it ends a header or
	// the boundary that opened this part.
	end, lines := s.pos, s.lines
	if end > s.claimed {
		end, lines = end-1, lines-1
		if end > s.claimed && s.raw[end-1] == '\r' {
			end--
		}
	}
	s.close(at+1, end, lines)
	s.nextLine()
	switch parent := s.stack[at].part; {
	case last:
		s.stack[at].boundary = nil
		s.bounds--
	case len(s.parts) >= MaxParts:
		s.truncated = true
	default:
		s.claimed = s.pos
		s.open(parent, s.parts[parent].Children+1)
	}
	return true
}

// matchBoundary returns the innermost frame whose boundary text is, or -1; last
// tells that text is the boundary that ends the multipart.
func (s *scanner) matchBoundary(text []byte) (at int, last bool) {
	for i := len(s.stack) - 1; i >= 0; i-- {
		b := s.stack[i].boundary
		if b == nil || !bytes.HasPrefix(text, b) {
			continue
		}
		switch rest := text[len(b):]; {
		case len(rest) == 0:
			return i, false
		case len(rest) == 2 && rest[0] == '-' && rest[1] == '-':
			return i, true
		}
	}
	return -1, false
}

// close ends the parts in the frames from at on. Their bodies end at end, before
// which there are so many lines.
func (s *scanner) close(at, end, lines int) {
	for i := len(s.stack) - 1; i >= at; i-- {
		f := &s.stack[i]
		p := &s.parts[f.part]
		p.BodyLen = end - p.BodyStart()
		p.Lines = lines - f.lines
		if f.boundary != nil {
			s.bounds--
		}
		if p.Kind == Multipart && p.Children == 0 {
			s.setDefault(f.part, "text", "plain")
			p.Kind = Leaf
		}
	}
	s.stack = s.stack[:at]
}

// endHeader ends the header of the innermost part at pos, and opens the message
// in it if there is one.
func (s *scanner) endHeader() {
	s.inHeader = false
	s.claimed = s.pos
	f := &s.stack[len(s.stack)-1]
	p := &s.parts[f.part]
	p.HeaderLen = s.pos - p.HeaderStart
	f.lines = s.lines
	m := &s.mime[f.part]
	m.read(p.Header().Of(s.raw))
	s.setType(f.part)
	full := len(s.stack) >= MaxDepth || len(s.parts) >= MaxParts
	switch {
	case p.Type == "multipart":
		boundary := bytes.TrimRight(paramNamed(m.params, "boundary"), " \t")
		switch {
		case len(boundary) == 0:
			s.setDefault(f.part, "text", "plain")
		case full:
			s.truncated = true
			s.setDefault(f.part, "application", "octet-stream")
		default:
			p.Kind = Multipart
			f.boundary = boundary
			s.bounds++
		}
	case p.Type == "message" && (p.Subtype == "rfc822" || p.Subtype == "global"):
		if full || !identity(p.Encoding) {
			s.truncated = s.truncated || full
			s.setDefault(f.part, "application", "octet-stream")
			return
		}
		p.Kind = Embedded
		s.open(f.part, 1)
	}
}

// setDefault makes a part a leaf of a type that its header doesn't name.
func (s *scanner) setDefault(part int, typ, sub string) {
	p, m := &s.parts[part], &s.mime[part]
	p.Type, p.Subtype, p.Charset = typ, sub, ""
	if typ == "text" {
		m.params = nil
	}
}

// setType fills in type, charset and encoding of a part from its MIME fields.
func (s *scanner) setType(part int) {
	p, m := &s.parts[part], &s.mime[part]
	p.Encoding = "7bit"
	if enc, _ := token(m.encoding, skipCFWS(m.encoding, 0)); enc != "" {
		p.Encoding = enc[:min(len(enc), maxEncodingBytes)]
	}
	typ, sub, params, ok := parseMediaType(m.contentType)
	switch {
	case ok:
		p.Type, p.Subtype, m.params = typ, sub, params
		p.Charset = charsetOf(params)
	case p.Parent >= 0 && s.parts[p.Parent].Kind == Multipart && s.parts[p.Parent].Subtype == "digest":
		// RFC 2046, section 5.1.5.
		s.setDefault(part, "message", "rfc822")
	default:
		s.setDefault(part, "text", "plain")
	}
	s.names += len(p.Type) + len(p.Subtype) + len(p.Charset) + len(p.Encoding)
	if s.names > maxNameBytes {
		s.truncated = true
		s.setDefault(part, "application", "octet-stream")
		m.params = nil
	}
}

// read takes the MIME fields from a header, the first of each.
func (m *mimeFields) read(header []byte) {
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		if len(f.name) < len("Content-ID") || f.name[0]|0x20 != 'c' {
			continue
		}
		dst := m.named(f)
		if dst != nil && *dst == nil {
			*dst = f.value
		}
	}
}

func (m *mimeFields) named(f field) *[]byte {
	switch {
	case f.is("Content-Type"):
		return &m.contentType
	case f.is("Content-Transfer-Encoding"):
		return &m.encoding
	case f.is("Content-ID"):
		return &m.id
	case f.is("Content-Description"):
		return &m.description
	case f.is("Content-Disposition"):
		return &m.disposition
	case f.is("Content-Language"):
		return &m.language
	case f.is("Content-Location"):
		return &m.location
	case f.is("Content-MD5"):
		return &m.md5
	}
	return nil
}

// charsetOf returns the charset parameter in lower case, "" if there is none.
func charsetOf(params []param) string {
	value := paramNamed(params, "charset")
	if value == nil {
		// charset*=''utf-8 (RFC 2231, section 4)
		value = paramNamed(params, "charset*")
		value = value[bytes.LastIndexByte(value, '\'')+1:]
	}
	value = bytes.TrimSpace(slices.Clone(cut(value, maxTypeBytes)))
	return string(bytes.ToLower(value))
}

// identity reports whether a transfer encoding leaves the bytes as they are.
func identity(encoding string) bool {
	switch encoding {
	case "7bit", "8bit", "binary":
		return true
	}
	return false
}
