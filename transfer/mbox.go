package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// mboxMessage is a message of an mbox file as it stands there, from its From_ line to the one after.
type mboxMessage struct {
	offset, length int64
	raw            []byte // nil when it is larger than is read
}

// scanMbox calls fn with the messages of an mbox file. A From_ line begins a message where it is the first line or comes after an empty one.
// raw is valid during the call; of messages larger than max bytes there is none.
func scanMbox(r io.Reader, max int64, fn func(mboxMessage) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var m mboxMessage
	var offset int64
	begun, tooLarge := false, false
	start, empty := true, true // at the start of a line; the line before was empty
	var buf []byte
	finish := func() error {
		if !begun {
			return nil
		}
		m.length = offset - m.offset
		if m.raw = buf; tooLarge {
			m.raw = nil
		}
		return fn(m)
	}
	for {
		piece, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read the mbox: %w", err)
		}
		if start && empty && bytes.HasPrefix(piece, []byte("From ")) {
			if err := finish(); err != nil {
				return err
			}
			m, begun, tooLarge, buf = mboxMessage{offset: offset}, true, false, buf[:0]
		}
		if len(piece) > 0 && !begun {
			if len(bytes.TrimSpace(piece)) > 0 {
				return fmt.Errorf("%w: no mbox: it does not begin with a From_ line", ErrSource)
			}
		} else if int64(len(buf)+len(piece)) > max {
			tooLarge = true
		} else if !tooLarge {
			buf = append(buf, piece...)
		}
		offset += int64(len(piece))
		if errors.Is(err, io.EOF) {
			return finish()
		}
		ended := len(piece) > 0 && piece[len(piece)-1] == '\n'
		empty = start && ended && len(bytes.TrimRight(piece, "\r\n")) == 0
		start = ended
	}
}

// mboxLetter is a message of an mbox file, and what the file says of it.
type mboxLetter struct {
	body     []byte
	date     time.Time
	flags    []string
	recent   bool
	uid      uint32
	base     Numbers // of the folder, where this message has them
	internal bool    // it is no mail, but the data of a mail program
}

// mboxFields are the header fields that are no part of a message, but of the file.
var mboxFields = map[string]bool{"status": true, "x-status": true, "x-keywords": true, "x-uid": true, "x-imap": true, "x-imapbase": true}

// parseMbox reads a message from its From_ line on. Lines come to end in CR LF; one ">" goes from lines as ">From " and ">>From " (mboxrd).
func parseMbox(raw []byte) mboxLetter {
	from, rest, _ := bytes.Cut(raw, []byte("\n"))
	l := mboxLetter{date: fromDate(string(bytes.TrimSpace(from))), recent: true}
	for _, empty := range []string{"\n", "\r\n"} { // the line before the next message
		if before, ok := bytes.CutSuffix(rest, []byte(empty)); ok && (len(before) == 0 || before[len(before)-1] == '\n') {
			rest = before
			break
		}
	}
	l.body = make([]byte, 0, len(rest)+len(rest)/32)
	header, skip := true, false
	for len(rest) > 0 {
		line, more := rest, []byte(nil)
		ended := false
		if k := bytes.IndexByte(rest, '\n'); k >= 0 {
			line, more, ended = rest[:k], rest[k+1:], true
		}
		rest = more
		line = bytes.TrimSuffix(line, []byte("\r"))
		if header {
			switch {
			case len(line) == 0:
				header, skip = false, false
			case line[0] == ' ' || line[0] == '\t': // goes on with the field before
			default:
				skip = l.field(line)
			}
			if skip {
				continue
			}
		}
		if quoted := bytes.TrimLeft(line, ">"); len(quoted) < len(line) && bytes.HasPrefix(quoted, []byte("From ")) {
			line = line[1:]
		}
		l.body = append(l.body, line...)
		if ended {
			l.body = append(l.body, '\r', '\n')
		}
	}
	return l
}

// field reads a header field, and says whether it is one of the file's.
func (l *mboxLetter) field(line []byte) bool {
	name, value, ok := strings.Cut(string(line), ":")
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	if !ok || !mboxFields[name] {
		return false
	}
	value = strings.TrimSpace(value)
	words := strings.Fields(value)
	switch name {
	case "status":
		l.flag(value, 'R', `\Seen`)
		l.recent = !strings.ContainsRune(value, 'O')
	case "x-status":
		l.flag(value, 'A', `\Answered`)
		l.flag(value, 'F', `\Flagged`)
		l.flag(value, 'D', `\Deleted`)
		l.flag(value, 'T', `\Draft`)
	case "x-keywords":
		l.flags = append(l.flags, words...)
	case "x-uid":
		l.uid = uint32Of(value)
	case "x-imap", "x-imapbase": // UIDVALIDITY, the last UID, keywords
		if len(words) >= 2 {
			l.base = Numbers{UIDValidity: uint32Of(words[0]), UIDNext: uint32Of(words[1]) + 1}
		}
		l.internal = l.internal || name == "x-imap"
	}
	return true
}

func (l *mboxLetter) flag(value string, letter rune, flag string) {
	if strings.ContainsRune(value, letter) {
		l.flags = append(l.flags, flag)
	}
}

// fromLayouts are the forms of dates in From_ lines.
var fromLayouts = []string{
	time.ANSIC, time.UnixDate, time.RubyDate, "Mon Jan _2 15:04:05 2006 -0700", "Mon Jan _2 15:04:05 -0700 2006", "Mon Jan _2 15:04 2006",
	"Mon, _2 Jan 2006 15:04:05 -0700",
}

// fromDate reads the date of a From_ line; without a zone it is UTC.
func fromDate(from string) time.Time {
	_, rest, _ := strings.Cut(strings.TrimPrefix(from, "From "), " ")
	rest = strings.Join(strings.Fields(rest), " ")
	for _, layout := range fromLayouts {
		if t, err := time.Parse(strings.ReplaceAll(layout, "_2", "2"), rest); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// letterID names a message by what it is; among equal ones they are counted.
func letterID(body []byte, seen map[string]int) string {
	sum := sha256.Sum256(body)
	id := hex.EncodeToString(sum[:16])
	seen[id]++
	if n := seen[id]; n > 1 {
		id = fmt.Sprintf("%s#%d", id, n)
	}
	return id
}
