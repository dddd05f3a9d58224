package message

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// corpus returns the messages of testdata by name.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(names) < 25 {
		t.Fatalf("corpus: %d files, error %v", len(names), err)
	}
	messages := make(map[string][]byte, len(names))
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		messages[strings.TrimSuffix(filepath.Base(name), ".eml")] = raw
	}
	return messages
}

func TestStructureOfCorpusIsGolden(t *testing.T) {
	for name, raw := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			s := Parse(raw)
			checkStructure(t, raw, s)
			got := describe(t, raw, s)
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// describe writes all that a client can ask of a message.
func describe(t *testing.T, raw []byte, s *Structure) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "ENVELOPE %s\nBODY %s\nBODYSTRUCTURE %s\n", s.Envelope(), s.Body(), s.BodyStructure())
	fmt.Fprintf(&b, "size %d, lines %d, sent %v, truncated %v\n", s.Size, s.Lines(), s.Sent, s.Truncated)
	paths := [][]int{nil}
	for i := 0; i < len(paths); i++ {
		path := paths[i]
		for kind, name := range []string{"", "HEADER", "TEXT", "MIME"} {
			section, ok := s.SectionBytes(raw, path, SectionKind(kind))
			if ok && (len(path) > 0 || name != "") {
				fmt.Fprintf(&b, "BODY[%s] %q\n", sectionName(path, name), section)
			}
		}
		if p, ok := s.FindPart(path); ok {
			size, err := DecodedSize(s.Parts[p].Encoding, s.Parts[p].Body().Of(raw))
			fmt.Fprintf(&b, "BINARY.SIZE[%s] %d %v\n", sectionName(path, ""), size, err)
		}
		for n := 1; n < 20; n++ {
			child := append(append([]int(nil), path...), n)
			if _, ok := s.Section(child, SectionWhole); ok {
				paths = append(paths, child)
			}
		}
	}
	WalkText(raw, s, func(part int, text []byte) bool {
		fmt.Fprintf(&b, "text of %v: %q\n", s.Path(part), text)
		return true
	})
	return b.Bytes()
}

func sectionName(path []int, kind string) string {
	var words []string
	for _, n := range path {
		words = append(words, strconv.Itoa(n))
	}
	if kind != "" {
		words = append(words, kind)
	}
	return strings.Join(words, ".")
}
