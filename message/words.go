package message

import (
	"bytes"
	"strings"
)

// maxEncodedWordBytes is how far the end of an encoded-word is looked for. RFC 2047
// allows 75 bytes, which not everybody minds.
const maxEncodedWordBytes = 4 << 10

// DecodedHeader returns the values of all fields of header that are called name, unfolded,
// and decoded to UTF-8 as DecodeWords does.
func DecodedHeader(header []byte, name string) []string {
	var values []string
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		if f.is(name) {
			values = append(values, DecodeWords(unfold(f.value)))
		}
	}
	return values
}

// DecodeWords decodes the encoded-words (RFC 2047) in an unfolded value to UTF-8. Bytes
// outside of them are UTF-8 if they are valid, windows-1252 if not. A character may be
// split over adjacent words of the same charset. What isn't an encoded-word
// is left as it is. The result is valid UTF-8.
func DecodeWords(value []byte) string {
	d := wordDecoder{out: make([]byte, 0, len(value))}
	text := 0 // where text that isn't decoded yet begins
	for pos := 0; ; {
		i := bytes.Index(value[pos:], []byte("=?"))
		if i < 0 {
			break
		}
		i += pos
		w, end, ok := parseWord(value, i)
		if !ok {
			pos = i + 2
			continue
		}
		if between := value[text:i]; !d.pending() || len(bytes.Trim(between, " \t\r\n")) > 0 {
			d.text(between)
		}
		d.word(w)
		text, pos = end, end
	}
	d.text(value[text:])
	return string(d.out)
}

// encodedWord is an encoded-word without its transfer encoding.
type encodedWord struct {
	charset string
	data    []byte
}

// parseWord reads the encoded-word at start, and returns the position after it.
func parseWord(b []byte, start int) (w encodedWord, end int, ok bool) {
	rest := b[start+2:]
	rest = rest[:min(len(rest), maxEncodedWordBytes)]
	mark := bytes.IndexByte(rest[:min(len(rest), maxTypeBytes)], '?')
	if mark <= 0 || len(rest) < mark+3 || rest[mark+2] != '?' {
		return w, 0, false
	}
	text := rest[mark+3:]
	length := bytes.Index(text, []byte("?="))
	if length < 0 || bytes.ContainsAny(rest[:mark], " \t\r\n=") {
		return w, 0, false
	}
	// RFC 2231, section 5: charset*language.
	charset, _, _ := strings.Cut(string(rest[:mark]), "*")
	w.charset = strings.ToLower(charset)
	switch rest[mark+1] {
	case 'b', 'B':
		w.data = decodeAll(&base64Reader{rest: text[:length]}, length)
	case 'q', 'Q':
		w.data = decodeQ(text[:length])
	default:
		return w, 0, false
	}
	return w, start + 2 + mark + 3 + length + 2, true
}

// decodeAll reads what r yields, no more than max bytes.
func decodeAll(r *base64Reader, max int) []byte {
	out := make([]byte, max)
	n, err := r.Read(out)
	if err != nil {
		return nil
	}
	return out[:n]
}

// decodeQ undoes the Q encoding (RFC 2047, section 4.2).
func decodeQ(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '_' {
			c = ' '
		} else if c == '=' {
			if v, ok := hexByte(text[i+1:]); ok {
				c = v
				i += 2
			}
		}
		out = append(out, c)
	}
	return out
}

// wordDecoder puts a decoded value together.
type wordDecoder struct {
	out     []byte
	last    encodedWord // not converted yet; more of it may follow
	started bool
}

func (d *wordDecoder) pending() bool { return d.started }

func (d *wordDecoder) word(w encodedWord) {
	if d.started && d.last.charset == w.charset {
		d.last.data = append(d.last.data, w.data...)
		return
	}
	d.flush()
	d.last, d.started = w, true
}

func (d *wordDecoder) text(b []byte) {
	d.flush()
	d.out = append(d.out, toUTF8("", b)...)
}

func (d *wordDecoder) flush() {
	if d.started {
		d.out = append(d.out, toUTF8(d.last.charset, d.last.data)...)
	}
	d.last, d.started = encodedWord{}, false
}

// MessageIDs returns the message identifiers in the value of a Message-ID, In-Reply-To
// or References field, with their angle brackets and without white space in them.
func MessageIDs(value []byte) []string {
	var ids []string
	for {
		start := bytes.IndexByte(value, '<')
		if start < 0 {
			return ids
		}
		value = value[start:]
		end := bytes.IndexByte(value, '>')
		if end < 0 {
			return ids
		}
		if again := bytes.LastIndexByte(value[:end], '<'); again > 0 {
			value, end = value[again:], end-again
		}
		id := strings.Map(dropSpace, string(value[:end+1]))
		if len(id) > len("<>") {
			ids = append(ids, id)
		}
		value = value[end+1:]
	}
}

func dropSpace(r rune) rune {
	if r < 0x80 && isSpace(byte(r)) {
		return -1
	}
	return r
}
