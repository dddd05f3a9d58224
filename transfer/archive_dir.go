package transfer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"angarium/eventlog/event"
	"angarium/internal/durable"
)

// An archive directory of an account is manifest.jsonl, a JSON object a line, and messages/xx/GUID.eml, the messages as they were received. The
// manifest has the account first, then each mailbox followed by its messages, and a last line without which it is not whole.
const (
	manifestFile    = "manifest.jsonl"
	manifestFormat  = "angarium-account"
	manifestVersion = 1
	messagesDir     = "messages"
)

// manifestLine is a line of a manifest: exactly one of its fields is there.
type manifestLine struct {
	Account *manifestAccount `json:"account,omitempty"`
	Mailbox *manifestMailbox `json:"mailbox,omitempty"`
	Message *manifestMessage `json:"message,omitempty"`
	End     *manifestEnd     `json:"end,omitempty"`
}

type manifestAccount struct {
	Format        string   `json:"format"`
	Version       int      `json:"version"`
	Name          string   `json:"name"`
	Subscriptions []string `json:"subscriptions"`
}

type manifestMailbox struct {
	Name       string   `json:"name"`
	ID         string   `json:"id"`
	SpecialUse []string `json:"special_use,omitempty"`
	Subscribed bool     `json:"subscribed,omitempty"`
	Numbers
}

type manifestMessage struct {
	UID    uint32   `json:"uid"`
	GUID   string   `json:"guid"` // SHA-256 of the message
	Size   int64    `json:"size"`
	Date   int64    `json:"date"` // INTERNALDATE, seconds since 1970
	Flags  []string `json:"flags,omitempty"`
	Recent bool     `json:"recent,omitempty"`
}

type manifestEnd struct {
	Mailboxes int `json:"mailboxes"`
	Messages  int `json:"messages"`
}

// archiveSink writes an archive directory. The manifest is put in place when all is written.
type archiveSink struct {
	dir     string
	file    *os.File
	out     *bufio.Writer
	account string
	ended   manifestEnd
	made    map[string]bool // directories
}

func newArchiveSink(dir, account string) (*archiveSink, error) {
	if err := os.MkdirAll(filepath.Join(dir, messagesDir), 0o700); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, manifestFile+".tmp"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return &archiveSink{dir: dir, file: f, out: bufio.NewWriter(f), account: account, made: map[string]bool{}}, nil
}

func (s *archiveSink) line(l manifestLine) error {
	b, err := json.Marshal(l)
	if err == nil {
		_, err = s.out.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// begin implements sink.
func (s *archiveSink) begin(box outMailbox) error {
	r := box.row
	s.ended.Mailboxes++
	return s.line(manifestLine{Mailbox: &manifestMailbox{
		Name: r.Name, ID: r.ID.String(), SpecialUse: r.SpecialUse, Subscribed: box.subscribed,
		Numbers: Numbers{UIDValidity: r.UIDValidity, UIDNext: r.UIDNext, Modseq: r.HighestModseq},
	}})
}

// bodyPath is where a message lies in an archive directory.
func bodyPath(dir, guid string) string { return filepath.Join(dir, messagesDir, guid[:2], guid+".eml") }

// message implements sink. A message that is there whole is not written again.
func (s *archiveSink) message(m *outMessage) error {
	guid := m.GUID.String()
	path := bodyPath(s.dir, guid)
	if st, err := os.Stat(path); err != nil || st.Size() != int64(m.Size) {
		raw, err := m.body()
		if err != nil {
			return err
		}
		if sub := filepath.Dir(path); !s.made[sub] {
			if err := os.MkdirAll(sub, 0o700); err != nil {
				return fmt.Errorf("write the archive: %w", err)
			}
			s.made[sub] = true
		}
		if err := durable.WriteFile(path, raw); err != nil {
			return err
		}
	}
	s.ended.Messages++
	return s.line(manifestLine{Message: &manifestMessage{
		UID: m.UID, GUID: guid, Size: int64(m.Size), Date: m.InternalDate, Flags: m.flags, Recent: m.recent,
	}})
}

// end implements sink.
func (s *archiveSink) end() error { return nil }

// finish implements sink.
func (s *archiveSink) finish(_ []outMailbox, subscriptions []string) error {
	err := errors.Join(
		s.line(manifestLine{Account: &manifestAccount{Format: manifestFormat, Version: manifestVersion, Name: s.account, Subscriptions: subscriptions}}),
		s.line(manifestLine{End: &s.ended}), s.out.Flush(), s.file.Sync(), s.file.Close(),
	)
	for sub := range s.made {
		err = errors.Join(err, durable.SyncDir(sub))
	}
	if err == nil {
		err = errors.Join(durable.SyncDir(filepath.Join(s.dir, messagesDir)), os.Rename(s.file.Name(), filepath.Join(s.dir, manifestFile)), durable.SyncDir(s.dir))
	}
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

// abandon implements sink.
func (s *archiveSink) abandon() {
	_ = s.file.Close()           // it is of no use
	_ = os.Remove(s.file.Name()) // likewise
}

// Archive is an archive directory that an export has made.
type Archive struct {
	dir     string
	max     int64
	account manifestAccount
	boxes   map[string]*archiveBox
	order   []string
}

type archiveBox struct {
	manifestMailbox
	items []Item
	guids map[string]string // by id
}

// OpenArchive reads the manifest of an archive directory. max bounds what is read of a message, in bytes.
func OpenArchive(dir string, max int64) (*Archive, error) {
	f, err := os.Open(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %s is no archive of an account: %w", ErrSource, dir, err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	a := &Archive{dir: dir, max: max, boxes: map[string]*archiveBox{}}
	if err := a.read(json.NewDecoder(bufio.NewReaderSize(f, 1<<16))); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSource, f.Name(), err)
	}
	return a, nil
}

func (a *Archive) read(d *json.Decoder) error {
	var box *archiveBox
	var have manifestEnd
	for {
		var l manifestLine
		if err := d.Decode(&l); err != nil {
			return fmt.Errorf("it is not whole: %w", err)
		}
		switch {
		case l.End != nil:
			if *l.End != have {
				return fmt.Errorf("it has %+v, not %+v", have, *l.End)
			}
			if a.account.Format != manifestFormat || a.account.Version != manifestVersion {
				return fmt.Errorf("it is %q of version %d, not %q of version %d", a.account.Format, a.account.Version, manifestFormat, manifestVersion)
			}
			return nil
		case l.Account != nil:
			a.account = *l.Account
		case l.Mailbox != nil:
			if len(a.order) >= maxFolders || a.boxes[l.Mailbox.Name] != nil {
				return fmt.Errorf("mailbox %q is there twice, or there are more than %d", l.Mailbox.Name, maxFolders)
			}
			box = &archiveBox{manifestMailbox: *l.Mailbox, guids: map[string]string{}}
			a.boxes[box.Name], a.order = box, append(a.order, box.Name)
			have.Mailboxes++
		case l.Message != nil && box != nil:
			have.Messages++
			if err := box.add(l.Message); err != nil {
				return err
			}
		default:
			return errors.New("a line makes no sense")
		}
	}
}

func (b *archiveBox) add(m *manifestMessage) error {
	if _, err := event.ParseGUID(m.GUID); err != nil {
		return err
	}
	if n := len(b.items); m.UID == 0 || n > 0 && b.items[n-1].UID >= m.UID {
		return fmt.Errorf("UID %d of mailbox %q does not ascend", m.UID, b.Name)
	}
	it := Item{ID: fmt.Sprintf("%d:%d", b.UIDValidity, m.UID), UID: m.UID, Date: unix(m.Date), Size: m.Size, Flags: m.Flags, Recent: m.Recent}
	b.items = append(b.items, it)
	b.guids[it.ID] = m.GUID
	return nil
}
