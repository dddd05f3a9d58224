package obs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	traceTime = "2006-01-02T15:04:05.000000Z"
	// maxSessionID bounds a session id, which is a file name.
	maxSessionID = 128
	// maxTraceLine is where a long line without a newline is broken, in bytes.
	maxTraceLine = 4096
)

// Trace records a protocol session in a file of its own, one line of the file a line of the protocol:
//
//	2026-01-02T03:04:05.678901Z C a1 NOOP\r\n
//	2026-01-02T03:04:05.678990Z S a1 OK done\r\n
//
// C is the client, S the server, - a remark. Bytes that are not printable ASCII, and the backslash, are written as in Go strings.
// Passwords are the caller's to hide, with Pause. A Trace never fails its session: after an error it records nothing more and
// Close returns the error. The methods of a nil *Trace do nothing. It is safe for concurrent use.
type Trace struct {
	mu      sync.Mutex
	file    *os.File
	now     func() time.Time
	left    int64 // bytes that the file may still grow
	full    bool
	paused  bool
	hidden  bool // something was not shown since Pause
	err     error
	scratch []byte
}

// OpenTrace creates <dir>/<session>.trace, readable by its owner only, which will be at most maxBytes long, a last remark not
// counted. The session id must be of letters, digits, "-", "_" and "."; a file that exists is an error.
func OpenTrace(dir, session string, maxBytes int64) (*Trace, error) {
	return openTrace(dir, session, maxBytes, time.Now)
}

func openTrace(dir, session string, maxBytes int64, now func() time.Time) (*Trace, error) {
	const allowed = "-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if session == "" || len(session) > maxSessionID || session[0] == '.' || strings.Trim(session, allowed) != "" {
		return nil, fmt.Errorf("open a trace: %q can't be the name of a file", session)
	}
	file, err := os.OpenFile(filepath.Join(dir, session+".trace"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a trace: %w", err)
	}
	return &Trace{file: file, now: now, left: maxBytes}, nil
}

// Client records bytes that came from the client.
func (t *Trace) Client(p []byte) { t.record('C', p) }

// Server records bytes that were sent to the client.
func (t *Trace) Server(p []byte) { t.record('S', p) }

// Pause hides what the client sends until Resume, its length too.
func (t *Trace) Pause() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = true
}

// Resume ends Pause.
func (t *Trace) Resume() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushHidden()
	t.paused = false
}

// Close ends the file and returns the first error of the trace.
func (t *Trace) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.file == nil {
		return t.err
	}
	t.flushHidden()
	if err := t.file.Close(); t.err == nil && err != nil {
		t.err = fmt.Errorf("close a trace: %w", err)
	}
	t.file = nil
	return t.err
}

func (t *Trace) record(direction byte, p []byte) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused && direction == 'C' {
		t.hidden = t.hidden || len(p) > 0
		return
	}
	for len(p) > 0 && !t.full {
		n := min(len(p), maxTraceLine)
		if i := bytes.IndexByte(p[:n], '\n'); i >= 0 {
			n = i + 1
		}
		t.writeLine(direction, p[:n])
		p = p[n:]
	}
}

func (t *Trace) flushHidden() {
	if t.hidden {
		t.writeLine('-', []byte("what the client sent is hidden"))
		t.hidden = false
	}
}

// writeLine writes a line, or the remark that the file is full instead of the first that does not fit.
func (t *Trace) writeLine(direction byte, text []byte) {
	if t.full || t.err != nil || t.file == nil {
		return
	}
	t.scratch = t.format(direction, text)
	if int64(len(t.scratch)) > t.left {
		t.full = true
		t.scratch = t.format('-', []byte("the trace is full"))
	}
	n, err := t.file.Write(t.scratch)
	t.left -= int64(n)
	if err != nil {
		t.err = fmt.Errorf("write a trace: %w", err)
	}
}

func (t *Trace) format(direction byte, text []byte) []byte {
	b := t.now().UTC().AppendFormat(t.scratch[:0], traceTime)
	b = append(b, ' ', direction, ' ')
	for _, c := range text {
		switch {
		case c == '\\':
			b = append(b, '\\', '\\')
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'x')
			b = strconv.AppendUint(b, uint64(c>>4), 16)
			b = strconv.AppendUint(b, uint64(c&15), 16)
		}
	}
	return append(b, '\n')
}
