package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// tree is a MIME entity that a property test makes up.
type tree struct {
	mime     string // its header, with the empty line
	body     string
	children []*tree // of a multipart
	message  *tree   // of message/rfc822
}

// genTree draws an entity and renders it. Boundaries are unique, and sometimes
// one begins with another.
func genTree(t *rapid.T, depth int, count *int) *tree {
	*count++
	id := *count
	kind := "leaf"
	if depth < 5 {
		kind = rapid.SampledFrom([]string{"leaf", "leaf", "multipart", "message"}).Draw(t, "kind")
	}
	extra := rapid.SampledFrom([]string{"", "Subject: x\r\n", "X-Folded: a\r\n b\r\n", "Content-ID: <a@b>\r\n"}).Draw(t, "extra")
	n := &tree{}
	switch kind {
	case "leaf":
		n.mime = extra + rapid.SampledFrom([]string{"", "Content-Type: text/html\r\n", "Content-Type: image/png\r\n"}).Draw(t, "type")
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"", "text", "--", "--not a boundary", "--b", " ", "é", "--b0x"}), 0, 5).Draw(t, "lines")
		n.body = strings.Join(lines, "\r\n")
	case "message":
		n.mime = extra + "Content-Type: message/rfc822\r\n"
		n.message = genTree(t, depth+1, count)
		n.body = n.message.mime + n.message.body
	case "multipart":
		boundary := fmt.Sprintf("b%d", id)
		n.mime = extra + "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n"
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{"", "preamble\r\n", "\r\n"}).Draw(t, "preamble"))
		for range rapid.IntRange(1, 4).Draw(t, "children") {
			c := genTree(t, depth+1, count)
			n.children = append(n.children, c)
			b.WriteString("--" + boundary + "\r\n" + c.mime + c.body + "\r\n")
		}
		b.WriteString("--" + boundary + "--" + rapid.SampledFrom([]string{"", "\r\n", "\r\nepilogue"}).Draw(t, "epilogue"))
		n.body = b.String()
	}
	n.mime += "\r\n"
	return n
}

func TestSectionsEqualWhatTheMessageWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := 0
		root := genTree(t, 0, &count)
		raw := []byte(root.mime + root.body)
		s := Parse(raw)
		expect := func(path []int, kind SectionKind, want string) {
			got, ok := s.SectionBytes(raw, path, kind)
			if !ok || string(got) != want {
				t.Fatalf("section %v kind %d of %q:\n got %q %v\nwant %q", path, kind, raw, got, ok, want)
			}
		}
		absent := func(path []int, kind SectionKind) {
			if got, ok := s.SectionBytes(raw, path, kind); ok {
				t.Fatalf("section %v kind %d of %q should not be there: %q", path, kind, raw, got)
			}
		}
		var walkMessage func(m *tree, path []int)
		var walkPart func(p *tree, path []int)
		child := func(path []int, n int) []int { return append(append([]int(nil), path...), n) }
		walkPart = func(p *tree, path []int) {
			expect(path, SectionWhole, p.body)
			expect(path, SectionMIME, p.mime)
			switch {
			case p.message != nil:
				walkMessage(p.message, path)
			case p.children != nil:
				absent(path, SectionHeader)
				for i, c := range p.children {
					walkPart(c, child(path, i+1))
				}
				absent(child(path, len(p.children)+1), SectionWhole)
			default:
				absent(path, SectionText)
				absent(child(path, 1), SectionWhole)
			}
		}
		walkMessage = func(m *tree, path []int) {
			expect(path, SectionHeader, m.mime)
			expect(path, SectionText, m.body)
			if m.children == nil {
				walkPart(m, child(path, 1))
				absent(child(path, 2), SectionWhole)
				return
			}
			for i, c := range m.children {
				walkPart(c, child(path, i+1))
			}
			absent(child(path, 0), SectionWhole)
			absent(child(path, len(m.children)+1), SectionWhole)
		}
		walkMessage(root, nil)
	})
}

// genRaw draws bytes that look like a message.
func genRaw() *rapid.Generator[[]byte] {
	pieces := rapid.SampledFrom([]string{
		"\r\n", "\n", "\r", "--a", "--a--", "--ab", "--", " ", "\t", "\x00", "\xff", "é", ":", ";", "\"", "(", ")", "<", ">", "@", ",", "\\",
		"From: ", "To: ", "Subject: ", "Date: 1 Jan 2020 00:00:00 +0000", "a@b", "x", "=?utf-8?q?x?=",
		"Content-Type: multipart/mixed; boundary=a\r\n", "Content-Type: multipart/digest; boundary=\"ab\"\n", "\r\n\r\n--a\r\n",
		"Content-Type: message/rfc822\r\n\r\n", "Content-Type: text/plain; charset*0=u; charset*1*=tf-8\r\n",
		"Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=3D=\r\n",
		"Content-Disposition: attachment; filename*=utf-8''x\r\n", "Content-Language: de, en\r\n", "Content-MD5: \"\r\n",
	})
	return rapid.Map(rapid.SliceOfN(pieces, 0, 40), func(p []string) []byte { return []byte(strings.Join(p, "")) })
}

func TestParseKeepsItsGuaranteesOnAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := genRaw().Draw(t, "raw")
		s := Parse(raw)
		checkStructure(t, raw, s)
		WalkText(raw, s, func(int, []byte) bool { return true })
	})
}

func TestHeaderFieldsAndTheOthersAreTheWholeHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := genRaw().Draw(t, "raw")
		header := Parse(raw).Parts[0].Header().Of(raw)
		if !bytes.HasSuffix(header, []byte("\n")) {
			header = append(bytes.Clone(header), "\r\n"...)
		}
		names := []string{"FROM", "content-type"}
		total := len(HeaderFields(header, names)) + len(HeaderFieldsNot(header, names)) - 2*len(crlf)
		h := headerReader{rest: header}
		lines := 0
		for f, ok := h.next(); ok; f, ok = h.next() {
			lines += len(f.raw)
		}
		if total != lines {
			t.Fatalf("%d bytes of fields, want %d, in %q", total, lines, header)
		}
	})
}

func TestCachedFieldsEqualThoseOfTheHeader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := genRaw().Draw(t, "raw")
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"From", "TO", "subject", "Date", "Content-Type", "X-Priority"}), 1, 4).Draw(t, "names")
		s := Parse(raw)
		want := HeaderFields(s.Parts[0].Header().Of(raw), names)
		block, ok := s.CachedHeaderFields(names)
		if !ok || !bytes.Equal(block, want) {
			t.Fatalf("cached %q (%v), want %q", block, ok, want)
		}
		fromBlob, ok, err := s.Marshal().CachedHeaderFields(names)
		if err != nil || !ok || !bytes.Equal(fromBlob, want) {
			t.Fatalf("blob: %q %v %v, want %q", fromBlob, ok, err, want)
		}
	})
}

func TestFoldIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		if once := Fold(s); Fold(once) != once {
			t.Fatalf("%q folds to %q, that to %q", s, once, Fold(once))
		}
	})
}

func TestMatcherFindsWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[a-zA-ZäÖß日本ｱ]{1,12}`).Draw(t, "word")
		filler := rapid.IntRange(0, 3*textChunkBytes).Draw(t, "filler")
		text := strings.Repeat("x\n", filler/2) + word + "\nend"
		m := NewMatcher(strings.ToUpper(word))
		if !m.Match([]byte(text)) {
			t.Fatalf("%q not found after %d bytes", word, filler)
		}
		if m.Match([]byte(strings.Repeat("1\n", filler/2))) {
			t.Fatalf("%q found among digits", word)
		}
	})
}
