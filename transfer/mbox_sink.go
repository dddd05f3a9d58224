package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"angarium/internal/durable"
)

// mboxSink writes an mbox file for each mailbox: "Name.mbox", what is below it in a directory of its name.
type mboxSink struct {
	root  string
	box   outMailbox
	path  string
	file  *os.File
	out   *bufio.Writer
	first bool
}

func newMboxSink(root string) (*mboxSink, error) { return &mboxSink{root: root}, nil }

// begin implements sink.
func (s *mboxSink) begin(box outMailbox) error {
	s.box, s.first = box, true
	levels := strings.Split(box.row.Name, "/")
	for i, l := range levels {
		if strings.HasPrefix(l, ".") { // no hidden files, and none above the directory
			levels[i] = "_" + l[1:]
		}
	}
	s.path = filepath.Join(s.root, filepath.Join(levels...)+".mbox")
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("write the mbox: %w", err)
	}
	f, err := os.OpenFile(s.path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the mbox: %w", err)
	}
	s.file, s.out = f, bufio.NewWriterSize(f, 1<<18)
	return nil
}

// message implements sink.
func (s *mboxSink) message(m *outMessage) error {
	raw, err := m.body()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "From MAILER-DAEMON %s\n", m.date().Format(time.ANSIC))
	if s.first {
		fmt.Fprintf(s.out, "X-IMAPbase: %d %d\n", s.box.row.UIDValidity, s.box.row.UIDNext-1)
		s.first = false
	}
	fmt.Fprintf(s.out, "X-UID: %d\n", m.UID)
	var status, more string
	var keywords []string
	for _, f := range m.flags {
		switch f {
		case `\Seen`:
			status = "R"
		case `\Answered`:
			more += "A"
		case `\Flagged`:
			more += "F"
		case `\Deleted`:
			more += "D"
		case `\Draft`:
			more += "T"
		default:
			keywords = append(keywords, f)
		}
	}
	if !m.recent {
		status += "O"
	}
	for _, field := range [][2]string{{"Status", status}, {"X-Status", more}, {"X-Keywords", strings.Join(keywords, " ")}} {
		if field[1] != "" {
			fmt.Fprintf(s.out, "%s: %s\n", field[0], field[1])
		}
	}
	return s.body(raw)
}

// body writes a message with lines that end in LF. Lines as "From " and ">From " get a ">" (mboxrd).
func (s *mboxSink) body(raw []byte) error {
	for line := range bytes.Lines(raw) {
		if bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
			s.out.WriteByte('>') // errors are those of Flush, as below
		}
		if n := len(line); n > 1 && line[n-2] == '\r' && line[n-1] == '\n' {
			line = append(line[:n-2:n-2], '\n')
		}
		s.out.Write(line)
	}
	if n := len(raw); n > 0 && raw[n-1] != '\n' {
		s.out.WriteByte('\n')
	}
	if err := s.out.WriteByte('\n'); err != nil {
		return fmt.Errorf("write the mbox: %w", err)
	}
	return nil
}

// end implements sink.
func (s *mboxSink) end() error {
	err := errors.Join(s.out.Flush(), s.file.Sync(), s.file.Close())
	if err == nil {
		err = errors.Join(os.Rename(s.file.Name(), s.path), durable.SyncDir(filepath.Dir(s.path)))
	}
	s.file = nil
	if err != nil {
		return fmt.Errorf("write the mbox: %w", err)
	}
	return nil
}

// finish implements sink.
func (s *mboxSink) finish(boxes []outMailbox, subscriptions []string) error {
	subs := strings.Join(subscriptions, "\n") + "\n"
	same := func(n string) string { return n }
	return errors.Join(
		durable.WriteFile(filepath.Join(s.root, subscriptionsFile), []byte(subs)),
		durable.WriteFile(filepath.Join(s.root, specialUseFile), specialUses(boxes, same)),
	)
}

// abandon implements sink.
func (s *mboxSink) abandon() {
	if s.file != nil {
		_ = s.file.Close()           // it is of no use
		_ = os.Remove(s.file.Name()) // likewise
	}
}
