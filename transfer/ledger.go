package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLedgerLine bounds a line of a ledger in bytes: a batch of messages with long names.
const maxLedgerLine = 1 << 20

// entry is what became of a message of the source.
type entry struct {
	UID   uint32 `json:"u"`           // in the mailbox; 0: forgotten
	Flags uint32 `json:"f,omitempty"` // a sum of the flags it had at the source
}

// line is a line of a ledger: messages of one folder.
type line struct {
	Folder      string           `json:"folder"`
	UIDValidity uint32           `json:"uidvalidity"` // of the mailbox
	Entries     map[string]entry `json:"messages"`
}

// ledger remembers which messages of a source became which. It is a file of lines of JSON that is only appended to; what a crash takes off its
// end is found again by the messages themselves.
type ledger struct {
	path    string
	file    *os.File // nil: nothing is written
	folders map[string]*ledgerFolder
}

type ledgerFolder struct {
	validity uint32
	entries  map[string]entry
}

// openLedger reads the ledger of an account and a source in a directory. dry leaves the file alone.
func openLedger(dir, account, source string, dry bool) (*ledger, error) {
	sum := sha256.Sum256([]byte(account + "\x00" + source))
	l := &ledger{path: filepath.Join(dir, hex.EncodeToString(sum[:16])+".jsonl"), folders: map[string]*ledgerFolder{}}
	if err := l.read(); err != nil || dry {
		return l, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the ledger of the import: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the ledger of the import: %w", err)
	}
	_, err = f.WriteString("\n") // ends a line that a crash has torn
	l.file = f
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write the ledger of the import: %w", err), l.close())
	}
	return l, nil
}

func (l *ledger) read() error {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the ledger of the import: %w", err)
	}
	defer f.Close() // read only
	r := bufio.NewReaderSize(f, maxLedgerLine)
	for {
		text, tooLong, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the ledger of the import: %w", err)
		}
		var one line
		if tooLong || len(text) == 0 || json.Unmarshal(text, &one) != nil {
			continue // torn: its messages are recognised
		}
		l.take(one)
	}
}

// readLine reads a line without its end. The rest of one that is too long is passed over.
func readLine(r *bufio.Reader) (text []byte, tooLong bool, err error) {
	text, err = r.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = r.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) && len(text) > 0 {
		err = nil
	}
	return bytes.TrimSuffix(text, []byte("\n")), tooLong, err
}

// take enters a line. Entries of another UIDVALIDITY are of a mailbox that is no more.
func (l *ledger) take(one line) {
	f := l.folders[one.Folder]
	if f == nil || f.validity != one.UIDValidity {
		f = &ledgerFolder{validity: one.UIDValidity, entries: map[string]entry{}}
		l.folders[one.Folder] = f
	}
	for id, e := range one.Entries {
		if e.UID == 0 {
			delete(f.entries, id)
			continue
		}
		f.entries[id] = e
	}
}

// of gives what is known of a folder that goes into a mailbox.
func (l *ledger) of(folder string, validity uint32) map[string]entry {
	if f := l.folders[folder]; f != nil && f.validity == validity {
		return f.entries
	}
	return nil
}

// add remembers messages.
func (l *ledger) add(folder string, validity uint32, entries map[string]entry) error {
	if len(entries) == 0 {
		return nil
	}
	one := line{folder, validity, entries}
	l.take(one)
	if l.file == nil {
		return nil
	}
	b, err := json.Marshal(one)
	if err == nil {
		_, err = l.file.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the ledger of the import: %w", err)
	}
	return nil
}

func (l *ledger) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// flagSum is equal for equal sets of flags: case does not matter in them, nor their order.
func flagSum(flags []string) uint32 {
	lower := make([]string, len(flags))
	for i, f := range flags {
		lower[i] = strings.ToLower(f)
	}
	slices.Sort(lower)
	return crc32.ChecksumIEEE([]byte(strings.Join(slices.Compact(lower), " ")))
}
