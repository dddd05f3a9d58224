package message

import (
	"bufio"
	"bytes"
	"fmt"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/textproto"
	"github.com/google/go-cmp/cmp"
)

// wellFormed are messages of the corpus that any two readers should agree on.
var wellFormed = []string{"plain", "no-mime-header", "alternative", "nested", "rfc822", "rfc822-root", "folded", "only-from"}

// TestAnotherReaderAgrees compares with go-imap's reading of the same messages.
func TestAnotherReaderAgrees(t *testing.T) {
	messages := corpus(t)
	for _, name := range wellFormed {
		t.Run(name, func(t *testing.T) {
			raw := messages[name]
			s := Parse(raw)
			other := imapserver.ExtractBodyStructure(bytes.NewReader(raw))
			if diff := cmp.Diff(outlineOf(other), outline(s, 0)); diff != "" {
				t.Errorf("structure (-other +ours):\n%s", diff)
			}
			header, err := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			envelope := imapserver.ExtractEnvelope(header)
			n, _, err := parseNode(s.Envelope(), 0)
			if err != nil {
				t.Fatal(err)
			}
			// go-imap fills in Sender and Reply-To only when it writes them.
			for i, list := range map[int][]imap.Address{2: envelope.From, 5: envelope.To, 6: envelope.Cc, 7: envelope.Bcc} {
				if diff := cmp.Diff(plainAddresses(list), wireAddresses(n.list[i])); diff != "" {
					t.Errorf("envelope field %d (-other +ours):\n%s", i, diff)
				}
			}
		})
	}
}

// outline is "type/subtype size lines" of a part and those in it.
func outline(s *Structure, i int) []string {
	p := &s.Parts[i]
	var lines []string
	if p.Kind == Multipart {
		lines = append(lines, p.Type+"/"+p.Subtype)
	} else {
		lines = append(lines, fmt.Sprintf("%s/%s %d", p.Type, p.Subtype, p.BodyLen))
	}
	if p.Type == "text" || p.Kind == Embedded {
		lines = append(lines, fmt.Sprintf("lines %d", p.Lines))
	}
	for c := range s.Parts {
		if s.Parts[c].Parent == i {
			lines = append(lines, outline(s, c)...)
		}
	}
	return lines
}

func outlineOf(bs imap.BodyStructure) []string {
	var lines []string
	switch bs := bs.(type) {
	case *imap.BodyStructureMultiPart:
		lines = append(lines, bs.MediaType())
		for _, c := range bs.Children {
			lines = append(lines, outlineOf(c)...)
		}
	case *imap.BodyStructureSinglePart:
		lines = append(lines, fmt.Sprintf("%s %d", bs.MediaType(), bs.Size))
		if bs.Text != nil {
			lines = append(lines, fmt.Sprintf("lines %d", bs.Text.NumLines))
		}
		if bs.MessageRFC822 != nil {
			lines = append(lines, fmt.Sprintf("lines %d", bs.MessageRFC822.NumLines))
			lines = append(lines, outlineOf(bs.MessageRFC822.BodyStructure)...)
		}
	}
	return lines
}

// plainAddresses are "mailbox@host" of the addresses.
func plainAddresses(list []imap.Address) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.Mailbox+"@"+a.Host)
	}
	return out
}

// wireAddresses are those of an address list as IMAP writes it, without group markers.
func wireAddresses(n node) []string {
	var out []string
	for _, a := range n.list {
		if a.list[3].kind == '"' {
			out = append(out, string(a.list[2].string)+"@"+string(a.list[3].string))
		}
	}
	return out
}
