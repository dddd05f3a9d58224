package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// primitives are the parsing methods with what they make of an input: the
// value as text, or "BAD".
var primitives = []struct {
	name  string
	parse func(*Reader) (any, error)
	in    string
	want  string
}{
	{"tag", func(r *Reader) (any, error) { return r.Tag() }, "a.001 ", "a.001"},
	{"tag with bracket", func(r *Reader) (any, error) { return r.Tag() }, "a] ", "a]"},
	{"tag with plus", func(r *Reader) (any, error) { return r.Tag() }, "+ ", "BAD"},
	{"tag too long", func(r *Reader) (any, error) { return r.Tag() }, strings.Repeat("a", MaxTag+1) + " ", "BAD"},
	{"atom", func(r *Reader) (any, error) { return r.Atom() }, "BODY.PEEK[", "BODY.PEEK["},
	{"atom stops", func(r *Reader) (any, error) { return r.Atom() }, `a"b`, "a"},
	{"empty atom", func(r *Reader) (any, error) { return r.Atom() }, "(", "BAD"},
	{"atom with NUL", func(r *Reader) (any, error) { return r.Atom() }, "\x00", "BAD"},
	{"atom with 8 bits", func(r *Reader) (any, error) { return r.Atom() }, "\xc3\xa9", "BAD"},
	{"keyword", func(r *Reader) (any, error) { return r.Keyword() }, "fEtch ", "FETCH"},
	{"astring atom", func(r *Reader) (any, error) { return r.AString() }, "a]b ", "a]b"},
	{"astring quoted", func(r *Reader) (any, error) { return r.AString() }, `"a b"`, "a b"},
	{"astring literal", func(r *Reader) (any, error) { return r.AString() }, "{3+}\r\na\r\n", "a\r\n"},
	{"empty quoted", func(r *Reader) (any, error) { return r.Quoted() }, `""`, ""},
	{"escapes", func(r *Reader) (any, error) { return r.Quoted() }, `"\"\\"`, `"\`},
	{"bad escape", func(r *Reader) (any, error) { return r.Quoted() }, `"\n"`, "BAD"},
	{"unterminated", func(r *Reader) (any, error) { return r.Quoted() }, `"abc`, "BAD"},
	{"quoted NUL", func(r *Reader) (any, error) { return r.Quoted() }, "\"a\x00\"", "BAD"},
	{"quoted 8 bits", func(r *Reader) (any, error) { return r.Quoted() }, "\"\xc3\xa9\"", "BAD"},
	{"quoted UTF-8", func(r *Reader) (any, error) { r.SetUTF8(true); return r.Quoted() }, "\"\xc3\xa9\"", "é"},
	{"quoted bad UTF-8", func(r *Reader) (any, error) { r.SetUTF8(true); return r.Quoted() }, "\"\xc3\"", "BAD"},
	{"string", func(r *Reader) (any, error) { return r.String() }, "atom", "BAD"},
	{"empty literal", func(r *Reader) (any, error) { return r.String() }, "{0}\r\n", ""},
	{"literal with LF", func(r *Reader) (any, error) { return r.String() }, "{2+}\nab", "ab"},
	{"literal with NUL", func(r *Reader) (any, error) { return r.String() }, "{1+}\r\n\x00", "BAD"},
	{"literal without size", func(r *Reader) (any, error) { return r.String() }, "{+}", "BAD"},
	{"literal unclosed", func(r *Reader) (any, error) { return r.String() }, "{12", "BAD"},
	{"literal without line end", func(r *Reader) (any, error) { return r.String() }, "{1}a", "BAD"},
	{"literal8", func(r *Reader) (any, error) { return r.BinaryString() }, "~{1+}\r\n\x00", "\x00"},
	{"no literal8", func(r *Reader) (any, error) { return r.String() }, "~{1+}\r\na", "BAD"},
	{"NIL", func(r *Reader) (any, error) { _, ok, err := r.NString(); return ok, err }, "nil ", "false"},
	{"not NIL", func(r *Reader) (any, error) { _, ok, err := r.NString(); return ok, err }, "NILS ", "BAD"},
	{"nstring", func(r *Reader) (any, error) { s, _, err := r.NString(); return s, err }, `"NIL"`, "NIL"},
	{"number", func(r *Reader) (any, error) { return r.Number() }, "4294967295 ", "4294967295"},
	{"number too large", func(r *Reader) (any, error) { return r.Number() }, "4294967296 ", "BAD"},
	{"negative number", func(r *Reader) (any, error) { return r.Number() }, "-1 ", "BAD"},
	{"zero", func(r *Reader) (any, error) { return r.NzNumber() }, "0 ", "BAD"},
	{"number of 63 bits", func(r *Reader) (any, error) { return r.Number64() }, "9223372036854775807 ", "9223372036854775807"},
	{"number of 64 bits", func(r *Reader) (any, error) { return r.Number64() }, "9223372036854775808 ", "BAD"},
	{"huge number", func(r *Reader) (any, error) { return r.Number64() }, strings.Repeat("9", 100) + " ", "BAD"},
	{"set", func(r *Reader) (any, error) { return r.NumSet() }, "4:2,9,*:7 ", "2:4,9,7:*"},
	{"set of saved result", func(r *Reader) (any, error) { return r.NumSet() }, "$ ", "$"},
	{"bad set", func(r *Reader) (any, error) { return r.NumSet() }, "1,,2 ", "BAD"},
	{"system flag", func(r *Reader) (any, error) { return r.Flag() }, `\Seen `, `\Seen`},
	{"keyword flag", func(r *Reader) (any, error) { return r.Flag() }, "$Junk)", "$Junk"},
	{"wildcard flag", func(r *Reader) (any, error) { return r.Flag() }, `\*`, "BAD"},
	{"flag list", func(r *Reader) (any, error) { return r.FlagList() }, `(\Seen a)`, `[\Seen a]`},
	{"empty flag list", func(r *Reader) (any, error) { return r.FlagList() }, "()", "[]"},
	{"list with trailing space", func(r *Reader) (any, error) { return r.FlagList() }, "(a )", "BAD"},
	{"open list", func(r *Reader) (any, error) { return r.FlagList() }, "(a", "BAD"},
	{"bare flags", func(r *Reader) (any, error) { return r.StoreFlags() }, `\Seen b`, `[\Seen b]`},
	{"mailbox", func(r *Reader) (any, error) { return r.Mailbox() }, "inbox/Entw&APw-rfe/ ", "INBOX/Entwürfe"},
	{"mailbox in UTF-8", func(r *Reader) (any, error) { r.SetUTF8(true); return r.Mailbox() }, "\"u\xcc\x88 & &APw-\"", "ü & &APw-"},
	{"empty mailbox", func(r *Reader) (any, error) { return r.Mailbox() }, `""`, "BAD"},
	{"mailbox with bad UTF-7", func(r *Reader) (any, error) { return r.Mailbox() }, "a&b ", "BAD"},
	{"empty reference", func(r *Reader) (any, error) { return r.Reference() }, `""`, ""},
	{"pattern", func(r *Reader) (any, error) { return r.ListMailbox() }, "inbox/%/* ", "inbox/%/*"},
	{"quoted pattern", func(r *Reader) (any, error) { return r.ListMailbox() }, `"a&APw-*"`, "aü*"},
	{"date", func(r *Reader) (any, error) { return r.Date() }, "1-feb-1994 ", "1994-02-01 00:00:00 +0000 UTC"},
	{"quoted date", func(r *Reader) (any, error) { return r.Date() }, `"28-Feb-1994"`, "1994-02-28 00:00:00 +0000 UTC"},
	{"half-quoted date", func(r *Reader) (any, error) { return r.Date() }, `"28-Feb-1994 `, "BAD"},
	{"no such date", func(r *Reader) (any, error) { return r.Date() }, "31-Feb-1994 ", "BAD"},
	{"date-time", func(r *Reader) (any, error) { return r.DateTime() }, `" 7-Jul-1996 02:44:25 -0700"`, "1996-07-07 02:44:25 -0700 -0700"},
	{"date-time short day", func(r *Reader) (any, error) { return r.DateTime() }, `"7-Jul-1996 02:44:25 -0700"`, "BAD"},
	{"date-time without zone", func(r *Reader) (any, error) { return r.DateTime() }, `"17-Jul-1996 02:44:25"`, "BAD"},
	{"date-time with fraction", func(r *Reader) (any, error) { return r.DateTime() }, `"17-Jul-1996 02:44:25.5 -0700"`, "BAD"},
	{"initial response", func(r *Reader) (any, error) { return r.InitialResponse() }, "AGEAYg==", "[0 97 0 98]"},
	{"empty initial response", func(r *Reader) (any, error) { return r.InitialResponse() }, "=", "[]"},
	{"bad base64", func(r *Reader) (any, error) { return r.InitialResponse() }, "AGE=YQ", "BAD"},
}

func TestPrimitives(t *testing.T) {
	sources := map[string]func(io.Reader) io.Reader{
		"whole":   func(r io.Reader) io.Reader { return r },
		"by byte": iotest.OneByteReader,
	}
	for _, tt := range primitives {
		for kind, wrap := range sources {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				enc := NewEncoder(io.Discard, EncoderOptions{})
				r := NewReader(wrap(strings.NewReader(tt.in+"\r\nz NOOP\r\n")), enc, Options{})
				if err := r.BeginCommand(); err != nil {
					t.Fatal(err)
				}
				v, err := tt.parse(r)
				got := fmt.Sprint(v)
				if Recoverable(err) {
					got = "BAD"
				} else if err != nil {
					t.Fatal(err)
				}
				if got != tt.want {
					t.Errorf("got %q (%v), want %q", got, err, tt.want)
				}
				if err := r.DiscardCommand(); err != nil {
					t.Fatalf("DiscardCommand: %v", err)
				}
				if log, err := serve(r, enc); err == nil || len(log) != 1 || log[0] != "z NOOP" {
					t.Errorf("then %q, %v", log, err)
				}
			})
		}
	}
}

func TestSyntaxErrorHasPosition(t *testing.T) {
	r := commandReader(t, "abc {3+}\r\nxyzq (\r\n", Options{})
	for _, step := range []func() error{
		func() error { _, err := r.Tag(); return err },
		r.SP,
		func() error { _, err := r.String(); return err },
		func() error { return r.Expect('q') },
		r.SP,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Atom()
	var syntax *SyntaxError
	if !errors.As(err, &syntax) || syntax.Pos != len("abc {3+}\r\nq ") {
		t.Errorf("got %v", err)
	}
}

func TestCRLF(t *testing.T) {
	for in, ok := range map[string]bool{"\r\n": true, "\n": true, "\rx\n": false, "\r\r\n": false, " \r\n": false} {
		r := commandReader(t, in, Options{})
		if err := r.CRLF(); (err == nil) != ok || r.InCommand() == ok {
			t.Errorf("%q: %v", in, err)
		}
		if err := r.DiscardCommand(); err != nil || r.InCommand() {
			t.Errorf("%q: then %v", in, err)
		}
	}
}

func TestNestingIsLimited(t *testing.T) {
	r := commandReader(t, strings.Repeat("(", 60_000)+"\r\n", Options{Limits: Limits{MaxDepth: 7}})
	_, err := parseNested(r)
	var limit *LimitError
	if !errors.As(err, &limit) || limit.Kind != LimitDepth || limit.Pos != 8 {
		t.Errorf("got %v", err)
	}
	if err := r.DiscardCommand(); err != nil {
		t.Error(err)
	}
}

func TestListItemsAreLimited(t *testing.T) {
	opts := Options{Limits: Limits{MaxListItems: 3}}
	parsers := map[string]func(*Reader) error{
		"(a b c d)": func(r *Reader) error { _, err := r.FlagList(); return err },
		"a b c d":   func(r *Reader) error { _, err := r.StoreFlags(); return err },
		"1,3,5,7":   func(r *Reader) error { _, err := r.NumSet(); return err },
	}
	for in, parse := range parsers {
		var limit *LimitError
		if err := parse(commandReader(t, in+"\r\n", opts)); !errors.As(err, &limit) || limit.Kind != LimitListItems {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestLineLimit(t *testing.T) {
	const limit = 20_000 // more than a buffer
	opts := Options{Limits: Limits{MaxLine: limit}}
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
		for extra, want := range map[int]error{0: nil, 1: ErrLineTooLong, 50_000: ErrLineTooLong} {
			line := strings.Repeat("a", limit-2+extra) + "\r\n"
			for name, parse := range map[string]func(*Reader) error{
				"atom": func(r *Reader) error {
					if _, err := r.Atom(); err != nil {
						return err
					}
					return r.CRLF()
				},
				"discard": (*Reader).DiscardCommand,
			} {
				r := NewReader(wrap(strings.NewReader(line+"b NOOP\r\n")), NewEncoder(io.Discard, EncoderOptions{}), opts)
				if err := r.BeginCommand(); err != nil {
					t.Fatal(err)
				}
				if err := parse(r); err != want {
					t.Errorf("%s with %d extra: %v, want %v", name, extra, err, want)
				}
			}
		}
	}
}

func TestLiteralsDoNotCountAsLine(t *testing.T) {
	in := strings.Repeat("{1000+}\r\n"+strings.Repeat("x", 1000), 50) + "\r\n"
	r := commandReader(t, in, Options{Limits: Limits{MaxLine: 500}})
	for range 50 {
		if _, err := r.String(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.CRLF(); err != nil {
		t.Error(err)
	}
}
