package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// readSignal tells when a read of the connection begins.
type readSignal struct {
	net.Conn
	size chan int
}

func (c readSignal) Read(p []byte) (int, error) {
	c.size <- len(p)
	return c.Conn.Read(p)
}

func TestWaitInputParksWithoutBuffer(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	conn := readSignal{server, make(chan int, 100)}
	pool := NewBufferPool(DefaultReadBuffer, 1)
	r := NewReader(conn, NewEncoder(server, EncoderOptions{}), Options{Pool: pool})
	sent := make(chan error, 1)
	go func() { _, err := client.Write([]byte("a NOOP\r\nb N")); sent <- err }()
	for _, tag := range []string{"a", "b"} {
		if err := r.WaitInput(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := r.BeginCommand(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Tag(); got != tag || err != nil {
			t.Fatal(got, err)
		}
		if tag == "b" {
			go func() { _, err := client.Write([]byte("OOP\r\n")); sent <- err }()
		}
		if err := r.DiscardCommand(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if r.buf != nil || pool.Free() != 1 {
		t.Errorf("a buffer of %d octets is held after the last command", len(r.buf))
	}
	for len(conn.size) > 0 {
		<-conn.size
	}
	woken := make(chan error)
	go func() { woken <- r.WaitInput(time.Time{}) }()
	if n := <-conn.size; n != 1 || pool.Free() != 1 {
		t.Errorf("parked in a read of %d octets, %d buffers free", n, pool.Free())
	}
	r.Interrupt()
	if err := <-woken; err != ErrInterrupted || r.buf != nil {
		t.Errorf("woken by %v", err)
	}
}

func TestIdleConnectionIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Reader{}) + unsafe.Sizeof(Encoder{}); n > 1024 {
		t.Errorf("an idle connection costs %d octets", n)
	}
}

func TestWaitInputDeadline(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	r := NewReader(server, NewEncoder(server, EncoderOptions{}), Options{})
	if err := r.WaitInput(time.Unix(1, 0)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	go client.Write([]byte("a NOOP\r\n")) //nolint:errcheck // seen by the reader
	if err := r.WaitInput(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, name, err := serveOne(r); name != "NOOP" || err != nil {
		t.Fatal(name, err)
	}
	client.Close()
	if err := r.WaitInput(time.Time{}); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestCommandTimeout(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	r := NewReader(server, NewEncoder(server, EncoderOptions{}), Options{CommandTimeout: time.Nanosecond})
	if err := r.BeginCommand(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Tag(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := r.DiscardCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("then %v", err)
	}
}

func TestInterruptBeforeWait(t *testing.T) {
	r, _ := newTestReader("a NOOP\r\n", Options{})
	r.Interrupt()
	r.Interrupt()
	for _, want := range []error{ErrInterrupted, nil, nil} {
		if err := r.WaitInput(time.Time{}); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// writerFunc is called for each write.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestInterruptJustBeforeParking(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	var r *Reader
	enc := NewEncoder(writerFunc(func() { r.Interrupt() }), EncoderOptions{})
	r = NewReader(server, enc, Options{})
	enc.Raw("* 1 EXISTS\r\n") // written by WaitInput after it looked for interruptions
	if err := r.WaitInput(time.Time{}); err != ErrInterrupted {
		t.Errorf("got %v", err)
	}
}

// testTLS returns both sides of a TLS connection over loopback.
func testTLS(t *testing.T) (client, server net.Conn) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	plainClient, plainServer := testTCP(t)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s := tls.Server(plainServer, &tls.Config{Certificates: []tls.Certificate{cert}})
	c := tls.Client(plainClient, &tls.Config{InsecureSkipVerify: true}) // a certificate of its own
	done := make(chan error, 1)
	go func() { done <- c.Handshake() }()
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return c, s
}

func testTCP(t *testing.T) (client, server net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestInterruptLosesNoInput(t *testing.T) {
	kinds := map[string]func(*testing.T) (net.Conn, net.Conn){
		"pipe": func(*testing.T) (net.Conn, net.Conn) { return net.Pipe() },
		"TCP":  testTCP, "TLS": testTLS,
	}
	for name, connect := range kinds {
		t.Run(name, func(t *testing.T) {
			const commands = 300
			client, server := connect(t)
			defer server.Close()
			r := NewReader(server, NewEncoder(server, EncoderOptions{}), Options{})
			stop, stopped, wrote := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						r.Interrupt()
					}
				}
			}()
			go func() {
				for i := range commands {
					// One write for the first octet, so that it is taken alone at times.
					for _, part := range []string{"D", fmt.Sprintf("ONE %d\r\n", i)} {
						if _, err := io.WriteString(client, part); err != nil {
							wrote <- err
							return
						}
					}
				}
				wrote <- client.Close()
			}()
			lines, interrupts := 0, 0
			for {
				err := r.WaitInput(time.Time{})
				if err == ErrInterrupted {
					interrupts++
					continue
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if line, err := r.ReadLine(100); line != fmt.Sprintf("DONE %d", lines) || err != nil {
					t.Fatalf("line %d: %q, %v", lines, line, err)
				}
				lines++
			}
			close(stop)
			<-stopped
			if err := <-wrote; err != nil {
				t.Fatal(err)
			}
			if lines != commands || interrupts == 0 {
				t.Errorf("%d lines, %d interruptions", lines, interrupts)
			}
		})
	}
}

func TestReadLine(t *testing.T) {
	tests := []struct {
		in, want string
		err      error
	}{
		{"DONE\r\n", "DONE", nil},
		{"DONE\n", "DONE", nil},
		{"\r\n", "", nil},
		{"1234567890\r\n", "1234567890", nil},
		{"12345678901\r\n", "", ErrLineTooLong},
		{"12345678901\n", "", ErrLineTooLong},
		{strings.Repeat("1", 1<<20), "", ErrLineTooLong},
		{"DONE", "", io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		r, _ := newTestReader(tt.in, Options{})
		if got, err := r.ReadLine(10); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%.20q: %q, %v", tt.in, got, err)
		}
	}
	r, _ := newTestReader("a\x00\r\nb\r\n", Options{})
	if _, err := r.ReadLine(10); !Recoverable(err) {
		t.Errorf("NUL: %v", err)
	}
	if got, err := r.ReadLine(10); got != "b" || err != nil {
		t.Errorf("after NUL: %q, %v", got, err)
	}
}

func TestResetDropsInjectedCommands(t *testing.T) {
	r, _ := newTestReader("a STARTTLS\r\nevil NOOP\r\n", Options{})
	if _, _, err := serveOne(r); err != nil {
		t.Fatal(err)
	}
	if r.Buffered() != len("evil NOOP\r\n") {
		t.Errorf("%d octets buffered", r.Buffered())
	}
	if err := r.Reset(strings.NewReader("b NOOP\r\n")); err != nil {
		t.Fatal(err)
	}
	if log, _ := serve(r, r.enc); len(log) != 1 || log[0] != "b NOOP" {
		t.Errorf("got %q", log)
	}
	if err := r.Reset(new(bytes.Buffer)); err == nil {
		t.Error("Reset in a command succeeded")
	}
}

// countingWriter counts the writes.
type countingWriter struct {
	bytes.Buffer
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) { w.writes++; return w.Buffer.Write(p) }

func TestPipelinedCommandsAreAnsweredInOneWrite(t *testing.T) {
	w := new(countingWriter)
	enc := NewEncoder(w, EncoderOptions{})
	r := NewReader(strings.NewReader(strings.Repeat("a NOOP\r\n", 50)), enc, Options{})
	n := 0
	for r.WaitInput(time.Time{}) == nil {
		if _, _, err := serveOne(r); err != nil {
			t.Fatal(err)
		}
		enc.Status("a", "OK", "", "done")
		n++
	}
	if n != 50 || w.writes != 1 || w.Len() != 50*len("a OK done\r\n") {
		t.Errorf("%d commands, %d writes, %d octets", n, w.writes, w.Len())
	}
}
