package message

import (
	"bytes"
	"io"
	"unicode/utf8"
)

const (
	// textChunkBytes is about how much text is decoded at a time.
	textChunkBytes = 32 << 10
	// textProbeBytes is how much is looked at to tell UTF-8 from an 8-bit charset.
	textProbeBytes = 4 << 10
)

// WalkText calls yield with the text that SEARCH BODY looks at: the text/* parts of
// raw, with transfer encoding and charset undone, and the decoded headers of embedded
// messages. HTML is yielded as it is, tags included. Other parts, and parts whose transfer
// encoding isn't known, are skipped.
//
// part is an index in s.Parts. The text of a part comes in pieces, one after the
// other, that end at a line end if possible and never within a UTF-8 sequence. It is valid UTF-8,
// unless a part that began as UTF-8 didn't go on so. text is valid until yield returns.
// If yield returns false, the walk ends, and WalkText returns false. raw has to be the
// message that s describes, otherwise there is no text.
func WalkText(raw []byte, s *Structure, yield func(part int, text []byte) bool) bool {
	if len(raw) != s.Size {
		return true
	}
	var buf []byte
	for i := range s.Parts {
		p := &s.Parts[i]
		if i > 0 && s.Parts[p.Parent].Kind == Embedded {
			if !yield(i, decodedHeaderText(p.Header().Of(raw))) {
				return false
			}
		}
		if p.Kind != Leaf || p.Type != "text" {
			continue
		}
		if buf == nil {
			buf = make([]byte, textChunkBytes)
		}
		if !p.walkText(p.Body().Of(raw), buf, func(text []byte) bool { return yield(i, text) }) {
			return false
		}
	}
	return true
}

// walkText yields the text of a part's body in pieces.
func (p *Part) walkText(body, buf []byte, yield func(text []byte) bool) bool {
	if identity(p.Encoding) && charsetEncoding(p.Charset) == nil && utf8.Valid(body) {
		return len(body) == 0 || yield(body)
	}
	r, err := NewDecoder(p.Encoding, body)
	if err != nil {
		return true
	}
	probe := buf[:textProbeBytes]
	n, err := r.Read(probe)
	if err != nil {
		return true // empty
	}
	probe = bytes.Clone(probe[:n])
	r = charsetReader(p.Charset, io.MultiReader(bytes.NewReader(probe), r), probe)
	have := 0
	for {
		n, err := io.ReadFull(r, buf[have:])
		have += n
		if err != nil {
			// The readers end with EOF alone; a decoder that gives up ends the part.
			return have == 0 || yield(buf[:have])
		}
		end := pieceEnd(buf[:have])
		if !yield(buf[:end]) {
			return false
		}
		have = copy(buf, buf[end:have])
	}
}

// pieceEnd returns where text is best divided: after a line end in its second
// half, or else between two characters.
func pieceEnd(text []byte) int {
	half := len(text) / 2
	if i := bytes.LastIndexByte(text[half:], '\n'); i >= 0 {
		return half + i + 1
	}
	return runeEnd(text)
}

// decodedHeaderText returns the fields of a header, unfolded and decoded, one a line.
func decodedHeaderText(header []byte) []byte {
	out := make([]byte, 0, len(header))
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		if f.name == nil {
			out = append(out, DecodeWords(unfold(f.raw))...)
		} else {
			out = append(out, toUTF8("", f.name)...)
			out = append(out, ": "...)
			out = append(out, DecodeWords(unfold(f.value))...)
		}
		out = append(out, '\n')
	}
	return out
}
