package transfer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"angarium/imapd/wire"
)

// Bounds of what is read of a Maildir.
const (
	maxFolders = 10_000
	maxSmall   = 64 << 20 // bytes of a file beside the messages
)

// inbox is the folder that new mail comes to.
const inbox = "INBOX"

// Maildir is a Maildir++ as of Dovecot and Courier (".Folder.Sub"), or one whose folders are directories in each other. UIDs and keywords are
// read of Dovecot's files where they are.
type Maildir struct {
	root    string
	max     int64             // bytes of a message
	folders map[string]string // directories by name
	files   map[string]string // of the folder whose items were asked for last, by id
}

// OpenMaildir opens a Maildir. max bounds what is read of a message, in bytes.
func OpenMaildir(root string, max int64) (*Maildir, error) {
	if _, err := os.Stat(filepath.Join(root, "cur")); err != nil {
		return nil, fmt.Errorf("%w: %s is no Maildir: %w", ErrSource, root, err)
	}
	return &Maildir{root: root, max: max}, nil
}

// Close implements Source.
func (*Maildir) Close() error { return nil }

// Folders implements Source.
func (m *Maildir) Folders(ctx context.Context) ([]Folder, error) {
	m.folders = map[string]string{inbox: m.root}
	entries, err := os.ReadDir(m.root)
	if err != nil {
		return nil, fmt.Errorf("read the Maildir: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(m.root, e.Name())
		if rest, dotted := strings.CutPrefix(e.Name(), "."); dotted {
			if rest != "" && isMaildir(dir) {
				err = m.add(mailboxOfDir(strings.ReplaceAll(rest, ".", "/")), dir)
			}
		} else if !special(e.Name()) {
			err = m.walk(ctx, dir, mailboxOfDir(e.Name()))
		}
		if err != nil {
			return nil, err
		}
	}
	subscribed, err := m.subscriptions()
	if err != nil {
		return nil, err
	}
	uses, err := readSpecialUses(m.root)
	if err != nil {
		return nil, err
	}
	var list []Folder
	for name := range m.folders {
		list = append(list, Folder{Name: name, Subscribed: subscribed[name], SpecialUse: uses[name]})
	}
	slices.SortFunc(list, func(a, b Folder) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// special says that a directory is a part of a Maildir.
func special(name string) bool { return name == "cur" || name == "new" || name == "tmp" }

func isMaildir(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, "cur"))
	return err == nil && st.IsDir()
}

// mailboxOfDir reads a name in modified UTF-7 (RFC 3501, section 5.1.3), or in UTF-8.
func mailboxOfDir(name string) string {
	if text, err := wire.DecodeUTF7(name); err == nil {
		return text
	}
	return name
}

func (m *Maildir) add(name, dir string) error {
	if len(m.folders) >= maxFolders {
		return fmt.Errorf("%w: more than %d folders", ErrSource, maxFolders)
	}
	if _, ok := m.folders[name]; !ok {
		m.folders[name] = dir
	}
	return nil
}

// walk adds the folders of a directory that are directories in each other. Links are not followed.
func (m *Maildir) walk(ctx context.Context, dir, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if isMaildir(dir) {
		if err := m.add(name, dir); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the Maildir: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !special(e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			if err := m.walk(ctx, filepath.Join(dir, e.Name()), name+"/"+mailboxOfDir(e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// subscriptions reads Dovecot's file of subscriptions: a name a line, in version 2 with tabs between the levels.
func (m *Maildir) subscriptions() (map[string]bool, error) {
	text, err := readSmall(filepath.Join(m.root, subscriptionsFile))
	if err != nil || text == nil {
		return nil, err
	}
	names := map[string]bool{}
	lines := strings.Split(string(text), "\n")
	sep := "."
	if len(lines) > 0 && strings.HasPrefix(lines[0], "V\t") {
		sep, lines = "\t", lines[1:]
	}
	for _, l := range lines {
		if l = strings.TrimSuffix(l, "\r"); l == "" {
			continue
		}
		names[mailboxOfDir(strings.ReplaceAll(l, sep, "/"))] = true
	}
	return names, nil
}

// readSmall reads a file that may be absent: then it is nil.
func readSmall(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && st.Size() > maxSmall {
		err = fmt.Errorf("%w: %s is larger than %d bytes", ErrSource, path, maxSmall)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Numbers implements Source.
func (m *Maildir) Numbers(_ context.Context, folder string) (Numbers, error) {
	list, err := readUIDList(m.folders[folder])
	if err != nil {
		return Numbers{}, err
	}
	return list.numbers, nil
}

// Items implements Source.
func (m *Maildir) Items(ctx context.Context, folder string) ([]Item, error) {
	dir := m.folders[folder]
	uids, err := readUIDList(dir)
	if err != nil {
		return nil, err
	}
	keywords, err := readKeywords(dir)
	if err != nil {
		return nil, err
	}
	m.files = map[string]string{}
	var items []Item
	for _, sub := range []string{"cur", "new"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the Maildir: %w", err)
		}
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			it, ok := maildirItem(e, sub, uids.uids, keywords)
			if _, double := m.files[it.ID]; !ok || double {
				continue
			}
			m.files[it.ID] = filepath.Join(dir, sub, e.Name())
			items = append(items, it)
		}
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.UID, b.UID), a.Date.Compare(b.Date), strings.Compare(a.ID, b.ID))
	})
	return items, nil
}

// maildirItem reads the name of a file: "base,S=size,W=size:2,flags".
func maildirItem(e fs.DirEntry, sub string, uids map[string]uint32, keywords map[byte]string) (Item, bool) {
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
		return Item{}, false // it has gone, or is none
	}
	base, rest, _ := strings.Cut(e.Name(), ":")
	it := Item{ID: base, UID: uids[base], Date: info.ModTime(), Size: -1, Recent: sub == "new"}
	for _, part := range strings.Split(base, ",")[1:] {
		if w, ok := strings.CutPrefix(part, "W="); ok {
			if n, err := strconv.ParseInt(w, 10, 64); err == nil && n >= 0 {
				it.Size = n
			}
		}
	}
	flags, _ := strings.CutPrefix(rest, "2,")
	for i := range len(flags) {
		if f := maildirFlags[flags[i]]; f != "" {
			it.Flags = append(it.Flags, f)
		} else if k := keywords[flags[i]]; k != "" {
			it.Flags = append(it.Flags, k)
		}
	}
	return it, true
}

// maildirFlags are the flags in names of files. P, passed on, is the keyword $Forwarded.
var maildirFlags = map[byte]string{'D': `\Draft`, 'F': `\Flagged`, 'P': "$Forwarded", 'R': `\Answered`, 'S': `\Seen`, 'T': `\Deleted`}

// Fetch implements Source.
func (m *Maildir) Fetch(ctx context.Context, _ string, items []Item, fn func(Item, []byte, error) error) error {
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := readMessage(m.files[it.ID], m.max)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrMessage, err)
		}
		if err := fn(it, raw, err); err != nil {
			return err
		}
	}
	return nil
}

func readMessage(path string, max int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > max {
		return nil, fmt.Errorf("%d bytes, more than the limit of %d", st.Size(), max)
	}
	raw, err := os.ReadFile(path)
	return crlf(raw), err
}

// crlf ends lines in CR LF, as IMAP has them, where all of them end in LF alone.
func crlf(raw []byte) []byte {
	if bytes.Contains(raw, []byte("\r\n")) {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}
