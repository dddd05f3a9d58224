package message

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// renderer writes BODYSTRUCTURE (RFC 9051, section 7.5.2). It recurses, no
// deeper than MaxDepth.
type renderer struct {
	raw       []byte
	parts     []Part
	mime      []mimeFields
	left      int // bytes that details of parts may still take
	truncated bool

	out     []byte
	cuts    []byte
	lastCut int   // where the last cut ended in out
	next    []int // next[i]: the sibling after part i, 0 if none
	first   []int // first[i]: the first child of part i, 0 if none
}

// render returns the BODYSTRUCTURE of the message and where its extension data is.
func (r *renderer) render() (out, cuts []byte) {
	links := make([]int, 3*len(r.parts))
	n := len(r.parts)
	first, next, last := links[:n], links[n:2*n], links[2*n:]
	for i := 1; i < n; i++ {
		parent := r.parts[i].Parent
		if first[parent] == 0 {
			first[parent] = i
		} else {
			next[last[parent]] = i
		}
		last[parent] = i
	}
	r.first, r.next = first, next
	r.out = make([]byte, 0, 96+128*n)
	r.part(0)
	return r.out, r.cuts
}

func (r *renderer) part(i int) {
	p, m := &r.parts[i], &r.mime[i]
	r.out = append(r.out, '(')
	var extensions int
	if p.Kind == Multipart {
		for c := r.first[i]; c != 0; c = r.next[c] {
			r.part(c)
		}
		r.out = append(r.out, ' ')
		r.out = appendString(r.out, []byte(p.Subtype))
		extensions = len(r.out)
		r.space()
		r.params(m.params, false)
	} else {
		r.single(i)
		extensions = len(r.out)
		r.space()
		r.text(m.md5)
	}
	r.space()
	r.disposition(m.disposition)
	r.space()
	r.language(m.language)
	r.space()
	r.text(m.location)
	r.cut(extensions)
	r.out = append(r.out, ')')
}

// single writes the basic fields of a part that is no multipart.
func (r *renderer) single(i int) {
	p, m := &r.parts[i], &r.mime[i]
	r.out = appendString(r.out, []byte(p.Type))
	r.space()
	r.out = appendString(r.out, []byte(p.Subtype))
	r.space()
	r.params(m.params, p.Type == "text")
	r.space()
	r.text(m.id)
	r.space()
	r.text(m.description)
	r.space()
	r.out = appendString(r.out, []byte(p.Encoding))
	r.number(p.BodyLen)
	switch {
	case p.Kind == Embedded:
		child := r.first[i]
		r.space()
		r.envelope(&r.parts[child])
		r.space()
		r.part(child)
		r.number(p.Lines)
	case p.Type == "text":
		r.number(p.Lines)
	}
}

func (r *renderer) envelope(p *Part) {
	before := len(r.out)
	var truncated bool
	r.out, truncated = appendEnvelope(r.out, p.Header().Of(r.raw), min(r.left, MaxEnvelopeBytes))
	r.truncated = r.truncated || truncated
	r.left -= len(r.out) - before
}

func (r *renderer) space() { r.out = append(r.out, ' ') }

func (r *renderer) number(n int) {
	r.out = append(r.out, ' ')
	r.out = strconv.AppendInt(r.out, int64(n), 10)
}

// take returns whether n more bytes of details may be written.
func (r *renderer) take(n int) bool {
	if n > r.left {
		r.truncated = true
		return false
	}
	r.left -= n
	return true
}

// text writes the unfolded value of a field as an nstring.
func (r *renderer) text(value []byte) {
	if value != nil {
		value = cut(unfold(cut(value, maxStructuredBytes)), maxValueBytes)
		if !r.take(len(value)) {
			value = nil
		}
	}
	r.out = appendNString(r.out, value)
}

// params writes a parameter list; that of a text part always tells the charset.
func (r *renderer) params(params []param, text bool) {
	size := 0
	for _, p := range params {
		size += len(p.name) + len(p.value)
		text = text && p.name != "charset" && p.name != "charset*"
	}
	if !r.take(size) {
		params, text = nil, text && size == 0
	}
	if len(params) == 0 && !text {
		r.out = append(r.out, "NIL"...)
		return
	}
	r.out = append(r.out, '(')
	if text {
		r.out = append(r.out, `"charset" "us-ascii"`...)
	}
	for i, p := range params {
		if i > 0 || text {
			r.space()
		}
		r.out = appendString(r.out, []byte(p.name))
		r.space()
		r.out = appendString(r.out, p.value)
	}
	r.out = append(r.out, ')')
}

func (r *renderer) disposition(value []byte) {
	disposition, params, ok := parseDisposition(value)
	if !ok || !r.take(len(disposition)) {
		r.out = append(r.out, "NIL"...)
		return
	}
	r.out = append(r.out, '(')
	r.out = appendString(r.out, []byte(disposition))
	r.space()
	r.params(params, false)
	r.out = append(r.out, ')')
}

// language writes the tags of a Content-Language (RFC 3282): NIL, one, or a list.
func (r *renderer) language(value []byte) {
	value = cut(value, maxValueBytes)
	var tags [][]byte
	for tag := range bytes.SplitSeq(value, []byte(",")) {
		start := skipCFWS(tag, 0)
		end := start
		for end < len(tag) && isTokenChar(tag[end]) {
			end++
		}
		if end > start && len(tags) < maxLanguages {
			tags = append(tags, tag[start:end])
		}
	}
	switch {
	case len(tags) == 0 || !r.take(len(value)):
		r.out = append(r.out, "NIL"...)
	case len(tags) == 1:
		r.out = appendString(r.out, tags[0])
	default:
		r.out = append(r.out, '(')
		for i, tag := range tags {
			if i > 0 {
				r.space()
			}
			r.out = appendString(r.out, tag)
		}
		r.out = append(r.out, ')')
	}
}

// cut notes that out[start:] is extension data, as the distance from the last cut
// and the length.
func (r *renderer) cut(start int) {
	r.cuts = binary.AppendUvarint(r.cuts, uint64(start-r.lastCut))
	r.cuts = binary.AppendUvarint(r.cuts, uint64(len(r.out)-start))
	r.lastCut = len(r.out)
}

// cutExtensions turns BODYSTRUCTURE into BODY.
func cutExtensions(bodyStructure, cuts []byte) []byte {
	out := make([]byte, 0, len(bodyStructure))
	for len(cuts) > 0 {
		keep, n := binary.Uvarint(cuts)
		drop, m := binary.Uvarint(cuts[max(n, 0):])
		if n <= 0 || m <= 0 || keep > uint64(len(bodyStructure)) || drop > uint64(len(bodyStructure))-keep {
			break
		}
		cuts = cuts[n+m:]
		out = append(out, bodyStructure[:keep]...)
		bodyStructure = bodyStructure[keep+drop:]
	}
	return append(out, bodyStructure...)
}
