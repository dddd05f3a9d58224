package wire

import (
	"io"
	"strings"
	"testing"
)

func BenchmarkEncodeFetchFlags(b *testing.B) {
	e := NewEncoder(io.Discard, EncoderOptions{})
	flags := []string{`\Seen`, `\Answered`}
	b.ReportAllocs()
	for n := uint64(1); b.Loop(); n++ {
		e.Raw("* ").Number(n).Raw(" FETCH (FLAGS ").Flags(flags).Raw(" UID ").Number(n + 100_000).Raw(")\r\n")
	}
}

func BenchmarkParseCommand(b *testing.B) {
	const line = "A0001 UID FETCH 1:100,200:* (FLAGS UID)\r\n"
	in := strings.Repeat(line, 1000)
	src := strings.NewReader(in)
	r := NewReader(src, NewEncoder(io.Discard, EncoderOptions{}), Options{})
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if src.Len() == 0 && r.Buffered() == 0 {
			src.Reset(in)
		}
		if err := r.BeginCommand(); err != nil {
			b.Fatal(err)
		}
		if _, err := r.Tag(); err != nil {
			b.Fatal(err)
		}
		for range 2 {
			if err := r.SP(); err != nil {
				b.Fatal(err)
			}
			if _, err := r.Keyword(); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.SP(); err != nil {
			b.Fatal(err)
		}
		if _, err := r.NumSet(); err != nil {
			b.Fatal(err)
		}
		if err := r.SP(); err != nil {
			b.Fatal(err)
		}
		if err := r.List(func() error { _, err := r.Atom(); return err }); err != nil {
			b.Fatal(err)
		}
		if err := r.CRLF(); err != nil {
			b.Fatal(err)
		}
	}
}
