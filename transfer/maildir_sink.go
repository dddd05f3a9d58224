package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"angarium/imapd/wire"
	"angarium/internal/durable"
)

// exportHost ends the names of files that an export has written.
const exportHost = ".angarium"

// maildirSink writes a Maildir++ with Dovecot's files. What an earlier export has written there is brought up to date.
type maildirSink struct {
	root   string
	report *Report
	box    outMailbox
	dir    string
	have   map[string]string // paths of the files of an earlier export, by base
	list   strings.Builder   // dovecot-uidlist
	lost   bool              // keywords that have no letter
}

func newMaildirSink(root string, report *Report) (*maildirSink, error) {
	return &maildirSink{root: root, report: report}, nil
}

// begin implements sink.
func (s *maildirSink) begin(box outMailbox) error {
	s.box, s.dir, s.lost = box, s.root, false
	if box.row.Name != inbox {
		levels := strings.Split(wire.EncodeUTF7(box.row.Name), "/")
		for i, l := range levels {
			if strings.Contains(l, ".") {
				s.report.problem(Problem{Mailbox: box.row.Name, Text: `"." in its name becomes "_": it separates levels in a Maildir`})
			}
			levels[i] = strings.ReplaceAll(l, ".", "_")
		}
		s.dir = filepath.Join(s.root, "."+strings.Join(levels, "."))
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			return fmt.Errorf("write the Maildir: %w", err)
		}
	}
	if s.dir != s.root { // says that it is a folder of a Maildir
		if err := durable.WriteFile(filepath.Join(s.dir, "maildirfolder"), nil); err != nil {
			return err
		}
	}
	s.list.Reset()
	fmt.Fprintf(&s.list, "3 V%d N%d G%s\n", box.row.UIDValidity, box.row.UIDNext, box.row.ID)
	return s.earlier()
}

// earlier finds what is there. Files that no export has written are not touched, and not mixed with.
func (s *maildirSink) earlier() error {
	s.have = map[string]string{}
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(s.dir, sub))
		if err != nil {
			return fmt.Errorf("write the Maildir: %w", err)
		}
		for _, e := range entries {
			base, _, _ := strings.Cut(e.Name(), ":")
			unique, _, _ := strings.Cut(base, ",")
			if !strings.HasSuffix(unique, exportHost) {
				return fmt.Errorf("%w: %s has mail that no export has written (hint: name an empty directory)", fs.ErrExist, s.dir)
			}
			s.have[base] = filepath.Join(s.dir, sub, e.Name())
		}
	}
	return nil
}

// message implements sink.
func (s *maildirSink) message(m *outMessage) error {
	base := fmt.Sprintf("%d.V%dU%d%s,S=%d,W=%d", m.InternalDate, s.box.row.UIDValidity, m.UID, exportHost, m.Size, m.Size)
	path := filepath.Join(s.dir, "cur", base+":2,"+s.letters(m.flags))
	if m.recent && len(m.flags) == 0 {
		path = filepath.Join(s.dir, "new", base)
	}
	var err error
	if old, ok := s.have[base]; ok {
		delete(s.have, base)
		if old != path {
			err = os.Rename(old, path)
		}
	} else {
		err = s.write(m, base, path)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(&s.list, "%d :%s\n", m.UID, base)
	return nil
}

// write writes a message under its name once it is whole.
func (s *maildirSink) write(m *outMessage, base, path string) error {
	raw, err := m.body()
	if err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, "tmp", base)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the Maildir: %w", err)
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = errors.Join(os.Chtimes(tmp, m.date(), m.date()), os.Rename(tmp, path))
	}
	if err != nil {
		return fmt.Errorf("write the Maildir: %w", err)
	}
	return nil
}

// letters gives the flags of a file name: capitals for system flags, a to z for the first 26 keywords of the mailbox.
func (s *maildirSink) letters(flags []string) string {
	var list []byte
	for _, f := range flags {
		found := false
		for letter, flag := range maildirFlags {
			if strings.EqualFold(flag, f) {
				list, found = append(list, letter), true
			}
		}
		if found {
			continue
		}
		if k := slices.IndexFunc(s.keywords(), func(k string) bool { return strings.EqualFold(k, f) }); k >= 0 {
			list = append(list, 'a'+byte(k))
		} else {
			s.lost = true
		}
	}
	slices.Sort(list)
	return string(list)
}

// keywords are those of the mailbox that letters stand for.
func (s *maildirSink) keywords() []string {
	names := slices.DeleteFunc(slices.Clone(s.box.row.Keywords), func(k string) bool { return strings.EqualFold(k, maildirFlags['P']) })
	return names[:min(len(names), 26)]
}

// end implements sink.
func (s *maildirSink) end() error {
	if s.lost {
		s.report.problem(Problem{Mailbox: s.box.row.Name, Text: "has more than 26 keywords: a Maildir cannot have the others"})
	}
	for _, path := range s.have { // expunged since
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("write the Maildir: %w", err)
		}
	}
	var names strings.Builder
	for i, k := range s.keywords() {
		fmt.Fprintf(&names, "%d %s\n", i, k)
	}
	return errors.Join(
		durable.WriteFile(filepath.Join(s.dir, keywordsFile), []byte(names.String())),
		durable.SyncDir(filepath.Join(s.dir, "cur")), durable.SyncDir(filepath.Join(s.dir, "new")),
		durable.WriteFile(filepath.Join(s.dir, uidListFile), []byte(s.list.String())),
	)
}

// finish implements sink.
func (s *maildirSink) finish(boxes []outMailbox, subscriptions []string) error {
	var subs strings.Builder
	subs.WriteString("V\t2\n\n")
	for _, name := range subscriptions {
		subs.WriteString(strings.ReplaceAll(wire.EncodeUTF7(strings.ReplaceAll(name, ".", "_")), "/", "\t") + "\n")
	}
	return errors.Join(
		durable.WriteFile(filepath.Join(s.root, subscriptionsFile), []byte(subs.String())),
		durable.WriteFile(filepath.Join(s.root, specialUseFile), specialUses(boxes, func(n string) string { return strings.ReplaceAll(n, ".", "_") })),
	)
}

// specialUses writes what readSpecialUses reads.
func specialUses(boxes []outMailbox, rename func(string) string) []byte {
	var b strings.Builder
	for _, box := range boxes {
		for _, u := range box.row.SpecialUse {
			fmt.Fprintf(&b, "%s\t%s\n", u, rename(box.row.Name))
		}
	}
	return []byte(b.String())
}

// abandon implements sink: what is written is of use to the next export.
func (s *maildirSink) abandon() {}
