package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

func encode(utf8 bool, write func(*Encoder)) string {
	var out bytes.Buffer
	e := NewEncoder(&out, EncoderOptions{})
	e.SetUTF8(utf8)
	write(e)
	if err := e.Flush(); err != nil {
		return err.Error()
	}
	return out.String()
}

func TestEncoderValues(t *testing.T) {
	tests := []struct {
		name  string
		write func(*Encoder)
		want  string
	}{
		{"quoted", func(e *Encoder) { e.String(`a "b\`) }, `"a \"b\\"`},
		{"empty", func(e *Encoder) { e.String("") }, `""`},
		{"line end", func(e *Encoder) { e.String("a\r\nb") }, "{4}\r\na\r\nb"},
		{"8 bits", func(e *Encoder) { e.String("é") }, "{2}\r\né"},
		{"8 bits, UTF-8", func(e *Encoder) { e.utf8 = true; e.String("é") }, `"é"`},
		{"bad UTF-8", func(e *Encoder) { e.utf8 = true; e.String("\xc3") }, "{1}\r\n\xc3"},
		{"NUL", func(e *Encoder) { e.String("a\x00") }, "{4}\r\na\uFFFD"},
		{"long", func(e *Encoder) { e.String(strings.Repeat("x", 1001)) }, "{1001}\r\n" + strings.Repeat("x", 1001)},
		{"astring atom", func(e *Encoder) { e.AString("a]b") }, "a]b"},
		{"astring quoted", func(e *Encoder) { e.AString("a b") }, `"a b"`},
		{"astring NIL", func(e *Encoder) { e.AString("nil") }, `"nil"`},
		{"astring wildcard", func(e *Encoder) { e.AString("a%") }, `"a%"`},
		{"nstring", func(e *Encoder) { e.NString("NIL", true).SP().NString("", false) }, `"NIL" NIL`},
		{"numbers", func(e *Encoder) { e.Number(0).SP().Number(1<<64 - 1) }, "0 18446744073709551615"},
		{"flags", func(e *Encoder) { e.Flags([]string{`\Seen`, "a"}).Flags(nil) }, `(\Seen a)()`},
		{"list", func(e *Encoder) { e.Open().NIL().Close().CRLF() }, "(NIL)\r\n"},
		{"mailbox", func(e *Encoder) { e.Mailbox("Entwürfe/a b") }, `"Entw&APw-rfe/a b"`},
		{"mailbox, UTF-8", func(e *Encoder) { e.utf8 = true; e.Mailbox("ü&") }, `"ü&"`},
		{"date-time", func(e *Encoder) {
			e.DateTime(time.Date(1996, 7, 7, 2, 44, 25, 9, time.FixedZone("", -7*3600)))
		}, `"07-Jul-1996 02:44:25 -0700"`},
		{"far date", func(e *Encoder) { e.DateTime(time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)) }, `"01-Jan-1970 00:00:00 +0000"`},
		{"set", func(e *Encoder) { e.NumSet(NumSetOf(3, 1, 2, 9)) }, "1:3,9"},
		{"open set", func(e *Encoder) { s := NumSetOf(1); s.AddStar(5); e.NumSet(s) }, "1,5:*"},
		{"literal", func(e *Encoder) { e.Literal([]byte("a\r\n")).SP().Literal8([]byte{0}) }, "{3}\r\na\r\n ~{1}\r\n\x00"},
		{"status", func(e *Encoder) { e.Status("a1", "OK", "READ-WRITE", "selected").Status("*", "BYE", "", "") }, "a1 OK [READ-WRITE] selected\r\n* BYE done\r\n"},
		{"continuation", func(e *Encoder) { e.Continuation("").Continuation("idling") }, "+ \r\n+ idling\r\n"},
	}
	for _, tt := range tests {
		if got := encode(false, tt.write); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEncoderCannotBeInjected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a"\\\r\n{}+0 \x00é]{0,20}`)).Draw(t, "s")
		mode := rapid.Bool().Draw(t, "utf8")
		if line := encode(mode, func(e *Encoder) { e.Status("*", "NO", s, s) }); strings.Count(line, "\n") != 1 || strings.Count(line, "\r") != 1 {
			t.Fatalf("%q makes %q", s, line)
		}
		// What the Encoder writes, the Reader gives back.
		text := encode(mode, func(e *Encoder) { e.String(s).SP().AString(s).CRLF() })
		r, _ := newTestReader(text, Options{})
		r.SetUTF8(mode)
		if err := r.BeginCommand(); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(s, "\x00", "\uFFFD")
		first, err1 := r.String()
		err2 := r.SP()
		second, err3 := r.AString()
		if err := errors.Join(err1, err2, err3, r.CRLF()); err != nil || first != want || second != want {
			t.Fatalf("%q: %q gives %q, %q, %v", s, text, first, second, err)
		}
	})
}

func TestEncoderHoldsNoBufferAfterFlush(t *testing.T) {
	pool := NewBufferPool(0, 1)
	var out bytes.Buffer
	e := NewEncoder(&out, EncoderOptions{Pool: pool})
	want := ""
	for range 3000 {
		e.Raw("0123456789").Byte('x').Number(12345)
		want += "0123456789x12345"
	}
	if out.Len() == 0 || e.Buffered() >= minBuffer {
		t.Errorf("%d octets written, %d buffered", out.Len(), e.Buffered())
	}
	if err := e.Flush(); err != nil || out.String() != want || e.buf != nil || pool.Free() != 1 {
		t.Errorf("after Flush: %v, %d octets, %d free", err, out.Len(), pool.Free())
	}
}

func TestEncoderWritesLargeValuesExactly(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 10_000)
	for _, pad := range []int{0, 1, minBuffer - 1, minBuffer} {
		prefix := strings.Repeat("p", pad)
		want := prefix + "{100000}\r\n" + string(big) + " {100000}\r\n" + string(big) + string(big)
		var out bytes.Buffer
		e := NewEncoder(&out, EncoderOptions{Pool: NewBufferPool(0, 0)})
		e.Raw(prefix).Literal(big).SP()
		if err := e.LiteralFrom(iotest.HalfReader(bytes.NewReader(append(big, "beyond"...))), int64(len(big))); err != nil {
			t.Fatal(err)
		}
		if err := e.Raw(string(big)).Flush(); err != nil || out.String() != want {
			t.Errorf("pad %d: %v, %d octets, want %d", pad, err, out.Len(), len(want))
		}
	}
}

func TestLiteralFromFailsForGood(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		src  io.Reader
		size int64
		want error
	}{
		{strings.NewReader("abc"), 4, ErrShortLiteral},
		{iotest.ErrReader(broken), 4, broken},
		{strings.NewReader("abc"), -1, ErrMisuse},
		{iotest.DataErrReader(strings.NewReader("abc")), 3, nil},
	} {
		var out bytes.Buffer
		e := NewEncoder(&out, EncoderOptions{})
		if err := e.LiteralFrom(tt.src, tt.size); !errors.Is(err, tt.want) {
			t.Errorf("got %v, want %v", err, tt.want)
		}
		n := out.Len()
		if err := e.Status("a", "OK", "", "done").Flush(); !errors.Is(err, tt.want) || tt.want != nil && out.Len() != n {
			t.Errorf("then %v, wrote %q", err, out.String())
		}
	}
}

func TestWriteErrorsStick(t *testing.T) {
	client, server := net.Pipe()
	client.Close()
	e := NewEncoder(server, EncoderOptions{Pool: NewBufferPool(0, 0)})
	for range 100_000 {
		e.Raw("0123456789")
	}
	if cap(e.buf) != minBuffer || !errors.Is(e.Err(), io.ErrClosedPipe) || !errors.Is(e.Flush(), io.ErrClosedPipe) {
		t.Errorf("%d octets, %v", cap(e.buf), e.Err())
	}
	r := NewReader(strings.NewReader("a NOOP\r\n"), e, Options{})
	if err := r.WaitInput(time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the Reader goes on: %v", err)
	}
}

func TestWriteTimeout(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	e := NewEncoder(server, EncoderOptions{WriteTimeout: time.Nanosecond})
	if err := e.Raw("x").Flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestEncoderReset(t *testing.T) {
	var first, second bytes.Buffer
	e := NewEncoder(&first, EncoderOptions{})
	if err := errors.Join(e.Raw("a").Reset(&second), e.Raw("b").Flush()); err != nil || first.String() != "a" || second.String() != "b" {
		t.Errorf("%v, %q, %q", err, first.String(), second.String())
	}
}
