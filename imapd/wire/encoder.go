package wire

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

type writeDeadliner interface{ SetWriteDeadline(time.Time) error }

// EncoderOptions configures an Encoder. The zero value is usable.
type EncoderOptions struct {
	// Pool lends the write buffers. Nil means buffers of DefaultWriteBuffer
	// octets that are left to the garbage collector.
	Pool *BufferPool
	// WriteTimeout bounds each write to the client, if the destination has a
	// SetWriteDeadline method. Zero means none.
	WriteTimeout time.Duration
}

// An Encoder writes responses. It belongs to one goroutine, that of the
// connection. Its methods append to a buffer, which is written whenever it is
// full, so any of them may block on the client and none may be called under a
// lock of a store. Flush writes the rest and gives the buffer back.
//
// Errors of writing are sticky: after one, everything is thrown away, and
// Flush and Err report it. The methods return the Encoder for chaining; they
// put no spaces between values.
type Encoder struct {
	w       io.Writer
	pool    *BufferPool
	buf     []byte // nil while idle
	err     error
	timeout time.Duration
	utf8    bool
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer, opts EncoderOptions) *Encoder {
	e := &Encoder{w: w, pool: opts.Pool, timeout: opts.WriteTimeout}
	if e.pool == nil {
		e.pool = NewBufferPool(DefaultWriteBuffer, 0)
	}
	return e
}

// SetUTF8 says whether the client has enabled UTF8=ACCEPT or IMAP4rev2: then
// quoted strings may hold UTF-8, and mailbox names are not in modified UTF-7.
func (e *Encoder) SetUTF8(on bool) { e.utf8 = on }

// Reset flushes and continues on another stream, after STARTTLS or COMPRESS.
func (e *Encoder) Reset(w io.Writer) error {
	err := e.Flush()
	e.w = w
	return err
}

// Err returns the error that stopped the Encoder, if any.
func (e *Encoder) Err() error { return e.err }

// Buffered returns the number of octets not yet written.
func (e *Encoder) Buffered() int { return len(e.buf) }

// Flush writes what is buffered and gives the buffer back.
func (e *Encoder) Flush() error {
	if e.buf == nil {
		return e.err
	}
	e.writeOut()
	e.pool.put(e.buf)
	e.buf = nil
	return e.err
}

// room makes place for n octets, which must be no more than minBuffer.
func (e *Encoder) room(n int) {
	if e.buf == nil {
		e.buf = e.pool.get()[:0]
		return
	}
	if cap(e.buf)-len(e.buf) < n {
		e.writeOut()
	}
}

// writeOut writes the buffer and empties it.
func (e *Encoder) writeOut() {
	e.writeDirect(e.buf)
	e.buf = e.buf[:0]
}

func (e *Encoder) writeDirect(p []byte) {
	if e.err != nil || len(p) == 0 {
		return
	}
	if e.timeout > 0 {
		if dl, ok := e.w.(writeDeadliner); ok {
			if err := dl.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
				e.err = fmt.Errorf("setting the write deadline: %w", err)
				return
			}
		}
	}
	if n, err := e.w.Write(p); err != nil {
		e.err = fmt.Errorf("writing to the client: %w", err)
	} else if n < len(p) {
		e.err = fmt.Errorf("writing to the client: %w", io.ErrShortWrite)
	}
}

// Raw appends s as it is. It must not come from a client.
func (e *Encoder) Raw(s string) *Encoder {
	if len(s) <= cap(e.buf)-len(e.buf) {
		e.buf = append(e.buf, s...)
		return e
	}
	return e.rawInParts(s)
}

// rawInParts appends a text for which the buffer has no room, and keeps Raw
// small enough to be inlined.
func (e *Encoder) rawInParts(s string) *Encoder {
	for len(s) > 0 {
		e.room(1)
		n := min(len(s), cap(e.buf)-len(e.buf))
		e.buf = append(e.buf, s[:n]...)
		s = s[n:]
	}
	return e
}

// RawBytes appends p as it is; large ones are written without a copy.
func (e *Encoder) RawBytes(p []byte) *Encoder {
	if len(p) <= cap(e.buf)-len(e.buf) {
		e.buf = append(e.buf, p...)
		return e
	}
	if e.room(min(len(p), minBuffer)); len(p) <= cap(e.buf)-len(e.buf) {
		e.buf = append(e.buf, p...)
		return e
	}
	e.writeOut()
	e.writeDirect(p)
	return e
}

// Byte appends one octet as it is.
func (e *Encoder) Byte(c byte) *Encoder {
	if len(e.buf) == cap(e.buf) {
		e.room(1)
	}
	e.buf = append(e.buf, c)
	return e
}

// SP appends a space.
func (e *Encoder) SP() *Encoder { return e.Byte(' ') }

// CRLF appends the end of a line.
func (e *Encoder) CRLF() *Encoder { return e.Raw("\r\n") }

// Open appends "(".
func (e *Encoder) Open() *Encoder { return e.Byte('(') }

// Close appends ")".
func (e *Encoder) Close() *Encoder { return e.Byte(')') }

// NIL appends NIL.
func (e *Encoder) NIL() *Encoder { return e.Raw("NIL") }

// Number appends a number: message number, UID, size, mod-sequence.
func (e *Encoder) Number(n uint64) *Encoder {
	const maxDigits = 20
	if cap(e.buf)-len(e.buf) < maxDigits {
		e.room(maxDigits)
	}
	e.buf = strconv.AppendUint(e.buf, n, 10)
	return e
}

// Text appends human-readable text to the end of a response line. Line ends
// and other control characters in it become spaces, so text of any origin
// cannot begin a response of its own.
func (e *Encoder) Text(s string) *Encoder {
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c == 0x7f {
			c = ' '
		}
		e.Byte(c)
	}
	return e
}

// Status appends a status response line: tag (or "*"), condition (OK, NO, BAD,
// BYE, PREAUTH), response code without its brackets ("" for none) and text
// (RFC 9051 section 7.1).
func (e *Encoder) Status(tag, cond, code, text string) *Encoder {
	e.Raw(tag).SP().Raw(cond).SP()
	if code != "" {
		e.Byte('[').Text(code).Raw("] ")
	}
	if text == "" {
		text = "done"
	}
	return e.Text(text).CRLF()
}

// Continuation appends a continuation request (RFC 9051 section 7.6): text, or
// for AUTHENTICATE a challenge in base64, which may be empty.
func (e *Encoder) Continuation(text string) *Encoder {
	return e.Raw("+ ").Text(text).CRLF()
}

// Literal appends p as a literal.
func (e *Encoder) Literal(p []byte) *Encoder {
	return e.announce("{", int64(len(p))).RawBytes(p)
}

// Literal8 appends p as a literal8, which may hold NUL (RFC 3516).
func (e *Encoder) Literal8(p []byte) *Encoder {
	return e.announce("~{", int64(len(p))).RawBytes(p)
}

func (e *Encoder) announce(open string, size int64) *Encoder {
	return e.Raw(open).Number(uint64(size)).Raw("}\r\n")
}

// LiteralFrom appends a literal of exactly size octets read from src, without
// holding more of it than the buffer. If src ends early or fails, the client
// cannot be told, so the Encoder stops with ErrShortLiteral or the error and
// the connection must be closed. What src holds beyond size is not read.
func (e *Encoder) LiteralFrom(src io.Reader, size int64) error {
	return e.stream("{", src, size)
}

// Literal8From is LiteralFrom for a literal8.
func (e *Encoder) Literal8From(src io.Reader, size int64) error {
	return e.stream("~{", src, size)
}

func (e *Encoder) stream(open string, src io.Reader, size int64) error {
	if e.err != nil {
		return e.err
	}
	if size < 0 {
		e.err = fmt.Errorf("writing a literal of %d octets: %w", size, ErrMisuse)
		return e.err
	}
	e.announce(open, size)
	empty := 0
	for size > 0 && e.err == nil {
		e.room(1)
		free := e.buf[len(e.buf):cap(e.buf)]
		if int64(len(free)) > size {
			free = free[:size]
		}
		n, err := src.Read(free)
		e.buf = e.buf[:len(e.buf)+n]
		size -= int64(n)
		if n > 0 {
			empty = 0
		} else {
			empty++
		}
		switch {
		case size == 0:
		case err == io.EOF:
			e.err = ErrShortLiteral
		case err != nil:
			e.err = fmt.Errorf("reading the source of a literal: %w", err)
		case empty == maxEmptyReads:
			e.err = fmt.Errorf("reading the source of a literal: %w", io.ErrNoProgress)
		}
	}
	return e.err
}
