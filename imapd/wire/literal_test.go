package wire

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestContinuationIsSentWhenLiteralIsAccepted(t *testing.T) {
	r, out := newTestReader("{3}\r\nabc {2}\r\nde {1+}\r\nf\r\n", Options{})
	if err := r.BeginCommand(); err != nil {
		t.Fatal(err)
	}
	r.enc.Raw("* pending\r\n")
	if s, err := r.String(); s != "abc" || err != nil {
		t.Fatal(s, err)
	}
	const want = "* pending\r\n+ OK\r\n"
	if out.String() != want {
		t.Errorf("wrote %q", out)
	}
	if err := r.SP(); err != nil {
		t.Fatal(err)
	}
	l, err := r.Literal(10)
	if err != nil || out.String() != want {
		t.Fatalf("before Accept: %v, wrote %q", err, out)
	}
	if p, err := io.ReadAll(l); string(p) != "de" || err != nil || out.String() != want+"+ OK\r\n" {
		t.Errorf("%q, %v, wrote %q", p, err, out)
	}
	if err := r.SP(); err != nil {
		t.Fatal(err)
	}
	if s, err := r.String(); s != "f" || err != nil || out.String() != want+"+ OK\r\n" {
		t.Errorf("%q, %v, wrote %q", s, err, out)
	}
	if err := r.CRLF(); err != nil {
		t.Error(err)
	}
}

func TestRefusedSyncLiteralEndsCommand(t *testing.T) {
	r, out := newTestReader("a LOGIN {8193}\r\nb NOOP\r\nc APPEND x {1001}\r\nd DROP {5}\r\ne NOOP\r\n", Options{Limits: PreAuthLimits()})
	log, _ := serve(r, r.enc)
	want := []string{
		"a BAD literal size exceeds 8192 at octet 16", "b NOOP",
		"c BAD literal size exceeds 1000 at octet 19",
		"d BAD mailbox name refused", "e NOOP",
	}
	if fmt.Sprint(log) != fmt.Sprint(want) {
		t.Errorf("got %q", log)
	}
	if strings.Contains(out.String(), "+ ") {
		t.Errorf("wrote %q", out)
	}
}

func TestUnskippableLiteralClosesTheConnection(t *testing.T) {
	for _, in := range []string{
		"a LOGIN {65537+}\r\nb NOOP\r\n",
		"a LOGIN {99999999999999999999999+}\r\nb NOOP\r\n",
		"a garbage ( {65537+}\r\nb NOOP\r\n",
		"a garbage ( {60000+}\r\n" + strings.Repeat("\r\nb NOOP\r\n", 6000) + " {60000+}\r\nb NOOP\r\n",
	} {
		r, _ := newTestReader(in, Options{Limits: PreAuthLimits()})
		log, err := serve(r, r.enc)
		if !errors.Is(err, ErrUnskippable) || len(log) != 1 {
			t.Errorf("%.30q: %q, %v", in, log, err)
		}
		if err := r.BeginCommand(); !errors.Is(err, ErrUnskippable) {
			t.Errorf("%.30q: BeginCommand after that: %v", in, err)
		}
	}
}

func TestDiscardCommand(t *testing.T) {
	const evil = "evil NOOP\r\n"
	closed := errors.New("closed")
	tests := []struct {
		name, in string
		want     error
	}{
		{"plain garbage", "a x (((\r\n", nil},
		{"bare LF", "a x (((\n", nil},
		{"empty line", "\r\n", nil},
		{"literal after garbage", "a NOOP x {11+}\r\n" + evil + "\r\n", nil},
		{"literal8 after garbage", "a NOOP x ~{11+}\r\n" + evil + "\r\n", nil},
		{"literal in a list", "a NOOP x ({11+}\n" + evil + ")\r\n", nil},
		{"two literals", "a NOOP {11+}\r\n" + evil + " {11+}\r\n" + evil + "\r\n", nil},
		{"adjacent literals", "a NOOP {11+}\r\n" + evil + "{11+}\r\n" + evil + "\r\n", nil},
		{"leading zeros", "a NOOP {0000011+}\r\n" + evil + "\r\n", nil},
		{"then a synchronising one", "a NOOP {11+}\r\n" + evil + " {11}\r\n", nil},
		{"refused by LOGIN", "a LOGIN {9000+}\r\n" + strings.Repeat(evil, 818) + "ab x\r\n", nil},
		{"bad tag", "+ {11+}\r\n" + evil + "\r\n", nil},
		{"no tag", "{11+}\r\n" + evil + "\r\n", nil},
		{"literal with garbage header before", "a LOGIN {5+x {11+}\r\n" + evil + "\r\n", nil},
		{"literal ending like an announcement", "a LOGIN {7+}\r\n  {11+}\r\n", nil},
		{"literal ending like half an announcement", "a LOGIN {4+}\r\n  {111+}\r\n", nil},
		{"skipped literal ending like an announcement", "a NOOP {7+}\r\n  {11+}\r\n", nil},
		{"streamed literal ending like an announcement", "a APPEND x {6+}\r\n {11+}(\r\n", nil},
		{"closed quotes before", `a NOOP "x\"y" {11+}` + "\r\n" + evil + "\r\n", nil},
		{"NUL before", "a NOOP \x00 {11+}\r\n" + evil + "\r\n", nil},
		{"no literal", "a NOOP {11+} \r\n", nil},
		{"no size", "a NOOP {+}\r\n", nil},
		{"glued", "a NOOP{11+}\r\n" + evil, closed},
		{"open quote", `a LOGIN "x {11+}` + "\r\n" + evil, closed},
		{"open quote with escape", `a LOGIN "x\" {11+}` + "\r\n" + evil, closed},
		{"stray quote", `a NOOP x" {11+}` + "\r\n" + evil, closed},
		{"endless zeros", "a NOOP {" + strings.Repeat("0", 20_000) + "11+}\r\n" + evil, closed},
	}
	for _, tt := range tests {
		for _, split := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, "/", split), func(t *testing.T) {
				var src io.Reader = strings.NewReader(tt.in + "z NOOP\r\n")
				if split {
					src = iotest.OneByteReader(src)
				}
				enc := NewEncoder(io.Discard, EncoderOptions{})
				r := NewReader(src, enc, Options{Limits: PreAuthLimits()})
				log, err := serve(r, enc)
				if tt.want != nil {
					if !errors.Is(err, ErrAmbiguous) || len(log) != 1 {
						t.Errorf("%q, %v", log, err)
					}
					return
				}
				if len(log) != 2 || log[1] != "z NOOP" {
					t.Errorf("%q, %v", log, err)
				}
			})
		}
	}
}

func TestStreamedLiteralIsDrained(t *testing.T) {
	for size := range 40 {
		body := strings.Repeat("b NOOP\r\n", 10)[:size]
		for _, sync := range []string{"", "+"} {
			in := fmt.Sprintf("a APPEND x {%d%s}\r\n%s\r\nz NOOP\r\n", size, sync, body)
			r, _ := newTestReader(in, Options{})
			if log, _ := serve(r, r.enc); len(log) != 2 || log[1] != "z NOOP" {
				t.Errorf("%q: %q", in, log)
			}
		}
	}
}

func TestLiteralBudget(t *testing.T) {
	limits := Limits{MaxLiteral: 10, MaxLiteralSum: 25, MaxLiterals: 4}
	tests := []struct {
		in   string
		n    int
		kind LimitKind
	}{
		{"{11+}\r\n", 1, LimitLiteralSize},
		{"{10+}\r\n0123456789{10+}\r\n0123456789{6}\r\n", 3, LimitLiteralSum},
		{"{0+}\r\n{0+}\r\n{0+}\r\n{0+}\r\n{0+}\r\n", 5, LimitLiteralCount},
		{"{4611686018427387904}\r\n", 1, LimitLiteralSize},
	}
	for _, tt := range tests {
		r := commandReader(t, tt.in, Options{Limits: limits})
		var err error
		for i := range tt.n {
			if err != nil {
				t.Errorf("%q: literal %d: %v", tt.in, i, err)
			}
			_, err = r.String()
		}
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Kind != tt.kind {
			t.Errorf("%q: %v", tt.in, err)
		}
	}
}

func TestLiteralMinus(t *testing.T) {
	in := "a LOGIN {4097+}\r\n" + strings.Repeat("x", 4097) + " y\r\nb LOGIN {4096+}\r\n" + strings.Repeat("x", 4096) + " y\r\n"
	r, _ := newTestReader(in, Options{LiteralMinus: true})
	log, _ := serve(r, r.enc)
	if len(log) != 2 || !strings.HasPrefix(log[0], "a BAD size of a non-sync") || !strings.HasPrefix(log[1], "b LOGIN xxx") {
		t.Errorf("%.100q", log)
	}
}

func TestOpenLiteralGuardsTheLine(t *testing.T) {
	misuse := map[string]func(*Reader, *Literal) error{
		"token":         func(r *Reader, _ *Literal) error { return r.SP() },
		"begin command": func(r *Reader, _ *Literal) error { return r.BeginCommand() },
		"half read": func(r *Reader, l *Literal) error {
			if _, err := l.Read(make([]byte, 1)); err != nil {
				return err
			}
			return r.CRLF()
		},
		"read after the command": func(r *Reader, l *Literal) error {
			if err := r.DiscardCommand(); err != nil {
				return err
			}
			_, err := l.Read(make([]byte, 1))
			return err
		},
	}
	for name, use := range misuse {
		r := commandReader(t, "{3+}\r\nabc\r\nb NOOP\r\n", Options{})
		l, err := r.Literal(10)
		if err != nil {
			t.Fatal(err)
		}
		if err := use(r, l); !errors.Is(err, ErrMisuse) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.DiscardCommand(); !errors.Is(err, ErrMisuse) {
			t.Errorf("%s: the error does not stick: %v", name, err)
		}
	}
}

func TestConnectionEndsInLiteral(t *testing.T) {
	for _, parse := range []func(*Reader) error{
		func(r *Reader) error { _, err := r.String(); return err },
		func(r *Reader) error {
			l, err := r.Literal(10)
			if err == nil {
				_, err = io.ReadAll(l)
			}
			return err
		},
		(*Reader).DiscardCommand,
	} {
		if err := parse(commandReader(t, "{3+}\r\nab", Options{})); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAnnouncementAloneAllocatesNoBuffer(t *testing.T) {
	in := "{1000000}\r\n"
	enc := NewEncoder(io.Discard, EncoderOptions{})
	pool := NewBufferPool(DefaultReadBuffer, 1)
	opts := Options{Pool: pool, Limits: Limits{MaxLiteral: 1 << 20}}
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := NewReader(strings.NewReader(in), enc, opts)
			if err := r.BeginCommand(); err != nil {
				b.Fatal(err)
			}
			if _, err := r.String(); !errors.Is(err, io.ErrUnexpectedEOF) {
				b.Fatal(err)
			}
		}
	})
	if n := got.AllocedBytesPerOp(); n > 100_000 {
		t.Errorf("allocated %d octets", n)
	}
}
