package main

import (
	"bufio"
	"context"
	"io"
	"regexp"
	"strings"
	"testing"
)

// demo runs a demo until it has said all it has to say.
func demo(t *testing.T, dir string, replica bool) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := runDemo(ctx, dir, replica, w)
		_ = w.CloseWithError(err) // ends the reader, should the demo end early
		ended <- err
	}()
	var text strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if lines.Text() == "Stop with Ctrl-C." {
			cancel()
			go func() { _, _ = io.Copy(io.Discard, r) }() // nothing may be left waiting to write
			break
		}
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\nafter:\n%s", err, text.String())
	}
	return text.String()
}

// said holds that each pattern comes in the text, in this order.
func said(t *testing.T, text string, patterns ...string) {
	t.Helper()
	rest := text
	for _, p := range patterns {
		at := regexp.MustCompile(p).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("%q does not come, or too early, in:\n%s", p, text)
		}
		rest = rest[at[1]:]
	}
}

func TestDemo(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second finds the account
		said(t, demo(t, dir, false), "IMAP  127.0.0.1:", "log show")
	}
}

func TestDemoWithAReplica(t *testing.T) {
	dir := t.TempDir()
	said(t, demo(t, dir, true), `east is the primary, west follows it\.`, `delivered at east, is on west .* after its 250`,
		`east handed over to west in \d+ ms; epoch 2 begins`, `delivered at east, is on east `, `delivered at east, is on west `,
		`west  IMAP`, `east  IMAP`, `east promote`)
	said(t, demo(t, dir, true), `west is the primary, east follows it\.`, `delivered at west, is on east `, `west handed over to east`, `east  IMAP`)
}
