package lmtpd

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

const (
	scratchSize = 64 << 10  // octets of the buffer in which a message is begun
	trustSize   = 1 << 20   // octets that are allocated at once on the word of the client
	chunkStep   = 256 << 10 // octets of a chunk (BDAT) that are read at once
)

// receipt is a message while it is received, behind the fields that are put on top of it. What is over a limit is read all the
// same, but not kept.
//
// A small message is received into a buffer that is used again; what the store gets is made anew for each message, because it may
// keep that, and keeps it in any case when a delivery is given up.
type receipt struct {
	srv     *Server
	buf     []byte
	scratch *[]byte // what buf lies in, if it is to be used again
	head    int     // octets of the fields on top
	charged int64   // against Options.MaxBuffered
	over    bool    // larger than Options.MaxMessage
	busy    bool    // Options.MaxBuffered is used up
	start   time.Time
}

// newReceipt begins a message; size is what the client said of it, 0 if nothing.
func (s *Server) newReceipt(head []byte, size int64) *receipt {
	m := &receipt{srv: s, head: len(head), start: time.Now()}
	switch need := len(head) + int(min(size, trustSize)); {
	case need > scratchSize:
		m.reserve(need)
	case m.charge(scratchSize):
		m.scratch = s.scratch.Get().(*[]byte)
		m.buf = *m.scratch
	default:
		m.busy = true
	}
	if !m.busy {
		m.buf = append(m.buf, head...)
	}
	return m
}

// whole gives the message with the fields on top, for the store to keep.
func (m *receipt) whole() []byte {
	if m.scratch != nil {
		m.buf = bytes.Clone(m.buf)
		m.giveBack()
	}
	return m.buf
}

// giveBack lets the buffer be used again.
func (m *receipt) giveBack() {
	if m.scratch != nil {
		m.srv.scratch.Put(m.scratch)
		m.scratch = nil
	}
}

// lost reports whether the message is not kept.
func (m *receipt) lost() bool { return m.over || m.busy }

// message is what the client sent.
func (m *receipt) message() []byte { return m.buf[m.head:] }

// reserve makes room for n octets in all.
func (m *receipt) reserve(n int) bool {
	if n <= cap(m.buf) {
		return true
	}
	if !m.charge(int64(n)) {
		m.drop()
		m.busy = true
		return false
	}
	grown := make([]byte, len(m.buf), n)
	copy(grown, m.buf)
	m.buf = grown
	m.giveBack()
	return true
}

// charge makes the message count as n octets.
func (m *receipt) charge(n int64) bool {
	more := n - m.charged
	if m.srv.buffered.Add(more) > m.srv.opts.MaxBuffered+TraceBytes {
		m.srv.buffered.Add(-more)
		return false
	}
	m.charged = n
	return true
}

// room sees to it that n more octets can be kept.
func (m *receipt) room(n int) bool {
	if m.lost() {
		return false
	}
	need := len(m.buf) + n
	limit := int64(m.head) + m.srv.opts.MaxMessage
	if int64(need) > limit {
		m.drop()
		m.over = true
		return false
	}
	if need <= cap(m.buf) {
		return true
	}
	return m.reserve(int(min(limit, int64(max(need, 2*cap(m.buf))))))
}

// fits refuses a chunk of n octets that is larger than any message, before it is read.
func (m *receipt) fits(n uint64) bool {
	if !m.lost() && n > uint64(m.srv.opts.MaxMessage) {
		m.drop()
		m.over = true
	}
	return !m.lost()
}

func (m *receipt) drop() {
	m.buf = nil
	m.release()
}

// release gives back what was charged, and the buffer.
func (m *receipt) release() {
	m.giveBack()
	m.srv.buffered.Add(-m.charged)
	m.charged = 0
}

// readData reads a message up to the line with a dot, and undoes the dot-stuffing (RFC 5321, section 4.5.2). A line begins
// after CRLF and nowhere else. An error means that the end has not come.
func (m *receipt) readData(br *bufio.Reader) error {
	lineStart, afterCR := true, false
	for {
		piece, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return unexpected(err)
		}
		content := piece
		if lineStart && piece[0] == '.' {
			if string(piece) == ".\r\n" {
				return nil
			}
			content = piece[1:]
		}
		if m.room(len(content)) {
			m.buf = append(m.buf, content...)
		}
		last := len(piece) - 1
		lineStart = bytes.HasSuffix(piece, []byte("\r\n")) || (afterCR && last == 0 && piece[0] == '\n')
		afterCR = piece[last] == '\r'
	}
}

// readChunk reads the n octets of a chunk (RFC 3030, section 2).
func (m *receipt) readChunk(br *bufio.Reader, n uint64) error {
	for n > 0 {
		step := int(min(n, chunkStep))
		if !m.fits(n) || !m.room(step) {
			return discard(br, n)
		}
		got, err := io.ReadFull(br, m.buf[len(m.buf):len(m.buf)+step])
		m.buf = m.buf[:len(m.buf)+got]
		if err != nil {
			return unexpected(err)
		}
		n -= uint64(step)
	}
	return nil
}

// discard reads n octets and keeps none.
func discard(br *bufio.Reader, n uint64) error {
	for n > 0 {
		got, err := br.Discard(int(min(n, chunkStep)))
		n -= uint64(got)
		if err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// unexpected tells an end within a message from one between commands.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
