package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"angarium/internal/control"
)

// meterAfter gives what a meter has written when steps, each a second after the one before, are over.
func meterAfter(t *testing.T, g *globals, tty bool, steps int, step func(m *meter, i int)) string {
	t.Helper()
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		g.stderr = &out
		m := g.newMeterOn(tty)
		time.Sleep(time.Second / 10) // never at the instant of a tick
		for i := range steps {
			step(m, i)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		m.end()
		m.end()
	})
	return out.String()
}

func TestMeterWritesALineNowAndThen(t *testing.T) {
	got := meterAfter(t, &globals{}, false, 13, func(m *meter, i int) {
		switch {
		case i == 0:
			m.show(control.Progress{What: "open"})
		case i < 8:
			m.show(control.Progress{What: "verify", Done: uint64(i), Unit: "messages"})
		default:
			m.show(control.Progress{What: "replay", Done: uint64(i), Total: 20, Unit: "events"})
		}
	})
	want := "verify: 1 messages after 0 s\nverify: 6 messages after 5 s\nreplay: 11 of 20 events after 3 s\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMeterSaysNothingOfWhatIsQuick(t *testing.T) {
	for _, tty := range []bool{false, true} {
		got := meterAfter(t, &globals{}, tty, 1, func(m *meter, _ int) { m.show(control.Progress{What: "open"}) })
		if got != "" {
			t.Errorf("tty %v: got %q", tty, got)
		}
	}
}

func TestMeterSaysNothingWhenQuiet(t *testing.T) {
	for _, g := range []*globals{{quiet: true}, {json: true}} {
		got := meterAfter(t, g, true, 20, func(m *meter, i int) { m.show(control.Progress{What: "open", Done: uint64(i)}) })
		if got != "" {
			t.Errorf("got %q", got)
		}
	}
}

func TestMeterDrawsABarAndTakesItAway(t *testing.T) {
	got := meterAfter(t, &globals{}, true, 6, func(m *meter, i int) {
		m.show(control.Progress{What: "replay\x1b", Done: uint64(i), Total: 6, Unit: "events"})
		if i == 4 {
			_ = m.aside(func() error { m.out.Write([]byte("ASIDE")); return nil })
		}
	})
	if !strings.Contains(got, `replay\x1b  50%`) || !strings.Contains(got, "(3/6") {
		t.Errorf("no bar in %q", got)
	}
	before, after, _ := strings.Cut(got, "ASIDE")
	for _, part := range []string{before, after} {
		if !strings.HasSuffix(strings.TrimRight(part, " "), "\r") {
			t.Errorf("the bar is not taken away at the end of %q", part)
		}
	}
}
