package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// readerState says what the next octet of the input is part of.
type readerState uint8

const (
	stateIdle    readerState = iota // between commands
	stateLine                       // in the line of a command
	stateLiteral                    // behind the announcement of a literal
)

const (
	// lookback is the number of octets already consumed that stay in the
	// buffer, so that a literal announced by the end of a broken line is
	// recognised wherever the parser stopped.
	lookback = 64
	// maxEmptyReads is how often a source may return neither data nor error.
	maxEmptyReads = 100
)

// Options configures a Reader. The zero value is usable.
type Options struct {
	Limits Limits
	// Pool lends the read buffers. Nil means buffers of DefaultReadBuffer
	// octets that are left to the garbage collector.
	Pool *BufferPool
	// CommandTimeout bounds the time for each line of a command and for each
	// buffered literal. For literals that are streamed or skipped it bounds
	// each read. Zero means none.
	CommandTimeout time.Duration
	// Separator is the hierarchy separator of mailbox names. Zero means '/'.
	Separator byte
	// LiteralMinus refuses non-synchronising literals of more than 4096
	// octets (LITERAL- of RFC 7888 instead of LITERAL+).
	LiteralMinus bool
}

type readDeadliner interface{ SetReadDeadline(time.Time) error }

// A Reader reads the commands of one client. All methods except Interrupt
// belong to the goroutine of the connection.
//
// The order of calls for a command is WaitInput, BeginCommand, the parsing
// methods, CRLF, and always DiscardCommand at the end. Everything that blocks
// on the client first flushes the Encoder, so answers to pipelined commands
// are batched and yet never held back.
//
// The Reader owns the read deadline of the connection.
type Reader struct {
	enc     *Encoder
	pool    *BufferPool
	limits  Limits
	timeout time.Duration
	sep     byte
	minus   bool
	utf8    bool

	state   readerState
	inQuote bool // the parser stopped inside a quoted string
	depth   int
	err     error // sticky: the connection must be closed

	buf      []byte // nil while parked
	pos, end int    // unread octets are buf[pos:end]
	segStart int    // where the current line, or its part after a literal, starts in buf; may be negative
	lineBase int    // lineBase+pos is the number of octets of the command line read

	lit        *Literal // in stateLiteral
	litCount   int
	litSum     int64
	scratch    []byte // tokens that span a refill or hold escapes
	deadline   time.Time
	parkedByte [1]byte

	mu          sync.Mutex // guards what Interrupt shares with WaitInput
	src         io.Reader
	waiting     bool
	interrupted bool
}

// NewReader returns a Reader of the commands that arrive on src, usually a
// net.Conn. Continuation requests for literals go to enc. If src has a
// SetReadDeadline method, its Read must be able to go on after a timeout, as
// those of net.Conn and tls.Conn are.
func NewReader(src io.Reader, enc *Encoder, opts Options) *Reader {
	r := &Reader{
		enc:     enc,
		pool:    opts.Pool,
		limits:  opts.Limits.withDefaults(),
		timeout: opts.CommandTimeout,
		sep:     opts.Separator,
		minus:   opts.LiteralMinus,
		src:     src,
	}
	if r.pool == nil {
		r.pool = NewBufferPool(DefaultReadBuffer, 0)
	}
	if r.sep == 0 {
		r.sep = '/'
	}
	return r
}

// SetLimits replaces the limits, for example after login. It takes effect at
// once.
func (r *Reader) SetLimits(l Limits) { r.limits = l.withDefaults() }

// SetUTF8 says whether the client has enabled UTF8=ACCEPT or IMAP4rev2: quoted
// strings may then hold UTF-8, and mailbox names are UTF-8 instead of modified
// UTF-7 (RFC 6855, RFC 9051).
func (r *Reader) SetUTF8(on bool) { r.utf8 = on }

// InCommand reports whether a command has begun and its end has not been read.
func (r *Reader) InCommand() bool { return r.state != stateIdle }

// Buffered returns the number of octets received and not yet consumed. Before
// a TLS handshake or the start of compression it must be zero: more means that
// the client, or somebody on the way, sent commands ahead of it (RFC 9051
// section 6.2.1), and the connection should be closed.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Reset continues on another stream, after STARTTLS or COMPRESS. Octets that
// are still buffered are thrown away and never seen as commands. It fails with
// ErrMisuse inside a command. With a CommandTimeout the old stream is left
// with a read deadline, so a TLS handshake on it needs one of its own.
func (r *Reader) Reset(src io.Reader) error {
	if r.err != nil {
		return r.err
	}
	if r.state != stateIdle {
		return r.fail(ErrMisuse)
	}
	r.pos, r.end = 0, 0
	r.releaseBuffer()
	r.mu.Lock()
	r.src = src
	r.mu.Unlock()
	return nil
}

// WaitInput waits, between commands, until at least one octet can be read, and
// holds no buffer meanwhile. It consumes nothing. It returns ErrInterrupted
// after an Interrupt, os.ErrDeadlineExceeded when the deadline passes (zero:
// none), io.EOF when the client has gone; after the first two the connection
// stays usable. Pending output is flushed before it blocks.
//
// An interruption is reported before input, and never lost.
func (r *Reader) WaitInput(deadline time.Time) error {
	if r.err != nil {
		return r.err
	}
	if r.state != stateIdle {
		return r.fail(ErrMisuse)
	}
	if r.takeInterrupt() {
		return ErrInterrupted
	}
	if r.pos < r.end {
		return nil
	}
	if err := r.enc.Flush(); err != nil {
		return r.fail(err)
	}
	r.releaseBuffer()
	n, err := r.parkedRead(deadline)
	if n == 1 {
		r.acquireBuffer()
		r.buf[0] = r.parkedByte[0]
		r.pos, r.end = 0, 1
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if r.takeInterrupt() {
			return ErrInterrupted
		}
		return err
	}
	return r.fail(err)
}

// parkedRead reads a single octet into the Reader itself.
func (r *Reader) parkedRead(deadline time.Time) (int, error) {
	dl, timed := r.src.(readDeadliner)
	r.mu.Lock()
	r.waiting = true
	if timed {
		if r.interrupted {
			deadline = longAgo()
		}
		if err := setReadDeadline(dl, deadline); err != nil {
			r.waiting = false
			r.mu.Unlock()
			return 0, err
		}
	}
	r.mu.Unlock()

	n, err := r.readSource(r.parkedByte[:])

	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = false
	if timed {
		// A deadline left behind must not hit the command that follows.
		if dlErr := setReadDeadline(dl, time.Time{}); dlErr != nil && err == nil {
			return 0, dlErr
		}
	}
	return n, err
}

// setReadDeadline sets a deadline. That a connection is closed is left for the
// read that follows to report, since it knows whether the client closed it.
func setReadDeadline(dl readDeadliner, t time.Time) error {
	err := dl.SetReadDeadline(t)
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return fmt.Errorf("setting the read deadline: %w", err)
}

// Interrupt makes the WaitInput in progress, or the next one, return
// ErrInterrupted, so that the goroutine of the connection can send untagged
// responses during IDLE or end for a shutdown. Several interruptions before a
// WaitInput count as one. It does not disturb a command that is being read. It
// is safe for use by any goroutine and does not block on the client; a source
// without SetReadDeadline is interrupted at the next WaitInput only.
func (r *Reader) Interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted = true
	if !r.waiting {
		return
	}
	if dl, ok := r.src.(readDeadliner); ok {
		// On failure the connection is closed, which wakes the read as well.
		_ = dl.SetReadDeadline(longAgo())
	}
}

func (r *Reader) takeInterrupt() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.interrupted
	r.interrupted = false
	return was
}

func longAgo() time.Time { return time.Unix(1, 0) }

// BeginCommand starts a command: the budgets begin anew. The next octet is the
// first of its tag. It fails with ErrMisuse if the last command has not been
// finished by CRLF or DiscardCommand.
func (r *Reader) BeginCommand() error {
	if r.err != nil {
		return r.err
	}
	if r.state != stateIdle {
		return r.fail(ErrMisuse)
	}
	r.state = stateLine
	r.litCount, r.litSum = 0, 0
	r.startLine()
	return nil
}

// startLine starts counting a line at the next octet.
func (r *Reader) startLine() {
	r.inQuote, r.depth = false, 0
	r.segStart, r.lineBase = r.pos, -r.pos
	r.extendDeadline()
}

// endCommand notes that the input stands behind the command.
func (r *Reader) endCommand() {
	r.state = stateIdle
	r.lit, r.scratch = nil, nil
	if r.pos == r.end {
		r.releaseBuffer()
	}
}

func (r *Reader) lineUsed() int { return r.lineBase + r.pos }

// fail makes err sticky.
func (r *Reader) fail(err error) error {
	if r.err == nil {
		r.err = err
		r.pos, r.end = 0, 0
		r.lit, r.scratch = nil, nil
		r.releaseBuffer()
	}
	return r.err
}

func (r *Reader) acquireBuffer() {
	if r.buf == nil {
		r.buf = r.pool.get()
	}
}

// releaseBuffer gives the buffer back; it must hold no unread octet.
func (r *Reader) releaseBuffer() {
	if r.buf == nil {
		return
	}
	r.pool.put(r.buf)
	r.buf = nil
	r.lineBase += r.pos
	r.segStart -= r.pos
	r.pos, r.end = 0, 0
}

func (r *Reader) extendDeadline() {
	if r.timeout > 0 {
		r.deadline = time.Now().Add(r.timeout)
	}
}

// fill reads at least one octet into the buffer, which must be used up. The
// last lookback octets of the line stay in front of pos.
func (r *Reader) fill() error {
	r.acquireBuffer()
	if drop := r.pos - lookback; drop > 0 {
		copy(r.buf, r.buf[drop:r.end])
		r.pos, r.end = r.pos-drop, r.end-drop
		r.segStart -= drop
		r.lineBase += drop
	}
	n, err := r.readBlocking(r.buf[r.end:])
	if err != nil {
		return err
	}
	r.end += n
	return nil
}

// readBlocking reads at least one octet of a command from the source.
func (r *Reader) readBlocking(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if err := r.enc.Flush(); err != nil {
		return 0, r.fail(err)
	}
	if r.timeout > 0 {
		if dl, ok := r.src.(readDeadliner); ok {
			if err := setReadDeadline(dl, r.deadline); err != nil {
				return 0, r.fail(err)
			}
		}
	}
	n, err := r.readSource(p)
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, r.fail(err)
}

// readSource reads until there is an octet or an error; an error that comes
// with octets is left for the next call to find.
func (r *Reader) readSource(p []byte) (int, error) {
	for range maxEmptyReads {
		n, err := r.src.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}
