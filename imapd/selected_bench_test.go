package imapd

import (
	"bytes"
	"fmt"
	"net"
	"testing"
)

// drain sends a command and throws the responses away, up to the tagged OK.
func drain(b *testing.B, conn net.Conn, buf []byte, command string) {
	if _, err := fmt.Fprintf(conn, "x %s\r\n", command); err != nil {
		b.Fatal(err)
	}
	var tail []byte
	for {
		n, err := conn.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		tail = append(tail, buf[max(0, n-200):n]...)
		if i := bytes.LastIndex(tail, []byte("\r\nx ")); i >= 0 && bytes.HasSuffix(tail, []byte("\r\n")) {
			if !bytes.HasPrefix(tail[i:], []byte("\r\nx OK")) {
				b.Fatalf("%s: %s", command, tail[i:])
			}
			return
		}
		tail = append(tail[:0], tail[max(0, len(tail)-200):]...)
	}
}

// BenchmarkSelected measures commands on a mailbox of 10,000 messages, over a socket.
func BenchmarkSelected(b *testing.B) {
	ts := newTestServer(b)
	ts.fill(b, "INBOX", 10_000)
	for _, command := range []string{
		"SELECT INBOX", "FETCH 1:* (FLAGS)", "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)", "FETCH 1:* (ENVELOPE)", "UID FETCH 1:* (BODY.PEEK[])",
		"FETCH 5000 BODY.PEEK[]", "SEARCH UNSEEN", "SEARCH SINCE 1-Feb-2026 SMALLER 10000", "SEARCH FROM ann77", "SEARCH BODY nowhere",
	} {
		b.Run(command, func(b *testing.B) {
			c := ts.login(b, "ann")
			c.ok("EXAMINE INBOX")
			buf := make([]byte, 256<<10)
			for b.Loop() {
				drain(b, c.conn, buf, command)
			}
			_ = c.conn.Close()
		})
	}
}
