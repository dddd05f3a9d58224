package transfer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mbox is an mbox file, or a directory of them.
type Mbox struct {
	root    string
	isFile  bool
	max     int64
	files   map[string]string // by folder
	places  map[string]mboxMessage
	letters map[string]mboxFolder // what was read of folders
}

// mboxFolder is what was read of a file.
type mboxFolder struct {
	numbers Numbers
	items   []Item
	places  map[string]mboxMessage
}

// OpenMbox opens an mbox file, whose folder is INBOX, or a directory of such files, in which directories are levels. max bounds what is read
// of a message, in bytes.
func OpenMbox(root string, max int64) (*Mbox, error) {
	st, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	return &Mbox{root: root, isFile: !st.IsDir(), max: max, letters: map[string]mboxFolder{}}, nil
}

// Close implements Source.
func (*Mbox) Close() error { return nil }

// Folders implements Source.
func (m *Mbox) Folders(ctx context.Context) ([]Folder, error) {
	m.files = map[string]string{}
	err := filepath.WalkDir(m.root, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		hidden := path != m.root && strings.HasPrefix(e.Name(), ".")
		if e.IsDir() && hidden {
			return filepath.SkipDir
		}
		if hidden || !e.Type().IsRegular() || !looksLikeMbox(path) {
			return nil
		}
		if len(m.files) >= maxFolders {
			return fmt.Errorf("%w: more than %d folders", ErrSource, maxFolders)
		}
		m.files[m.folderOf(path)] = path
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the mbox files: %w", err)
	}
	var uses map[string][]string
	var subscribed map[string]bool
	if !m.isFile {
		if uses, err = readSpecialUses(m.root); err != nil {
			return nil, err
		}
		if subscribed, err = readNames(filepath.Join(m.root, subscriptionsFile)); err != nil {
			return nil, err
		}
	}
	var list []Folder
	for name := range m.files {
		list = append(list, Folder{Name: name, SpecialUse: uses[name], Subscribed: subscribed == nil || subscribed[name]})
	}
	slices.SortFunc(list, func(a, b Folder) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// looksLikeMbox says whether a file is empty or begins as an mbox does.
func looksLikeMbox(path string) bool {
	if filepath.Base(path) == subscriptionsFile || filepath.Base(path) == specialUseFile {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() // read only
	b := make([]byte, 5)
	n, err := io.ReadFull(f, b)
	return (err == io.EOF && n == 0) || string(b[:n]) == "From "
}

// folderOf gives the folder of a file. Thunderbird has what is below a folder in a directory of its name with ".sbd".
func (m *Mbox) folderOf(path string) string {
	rel, err := filepath.Rel(m.root, path)
	if err != nil || rel == "." {
		return inbox
	}
	levels := strings.Split(filepath.ToSlash(rel), "/")
	for i := range levels {
		if i < len(levels)-1 {
			levels[i] = strings.TrimSuffix(levels[i], ".sbd")
		} else {
			levels[i] = strings.TrimSuffix(levels[i], ".mbox")
		}
	}
	return strings.Join(levels, "/")
}

// Numbers implements Source.
func (m *Mbox) Numbers(ctx context.Context, folder string) (Numbers, error) {
	f, err := m.read(ctx, folder)
	return f.numbers, err
}

// Items implements Source.
func (m *Mbox) Items(ctx context.Context, folder string) ([]Item, error) {
	f, err := m.read(ctx, folder)
	delete(m.letters, folder) // they are asked for once
	m.places = f.places
	return f.items, err
}

// read reads a file for its messages. Without a date in its From_ line a message has that of the file.
func (m *Mbox) read(ctx context.Context, folder string) (mboxFolder, error) {
	if f, ok := m.letters[folder]; ok {
		return f, nil
	}
	res := mboxFolder{places: map[string]mboxMessage{}}
	f, err := os.Open(m.files[folder])
	if err != nil {
		return res, fmt.Errorf("read the mbox: %w", err)
	}
	defer f.Close() // read only
	st, err := f.Stat()
	if err != nil {
		return res, fmt.Errorf("read the mbox: %w", err)
	}
	seen := map[string]int{}
	err = scanMbox(f, m.max, func(msg mboxMessage) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		it := Item{ID: fmt.Sprintf("at byte %d", msg.offset), Date: st.ModTime(), Size: msg.length}
		if msg.raw != nil {
			l := parseMbox(msg.raw)
			if l.base.UIDValidity != 0 {
				res.numbers = l.base
			}
			if l.internal {
				return nil
			}
			it = Item{ID: letterID(l.body, seen), UID: l.uid, Date: l.date, Size: int64(len(l.body)), Flags: l.flags, Recent: l.recent}
			if it.Date.IsZero() {
				it.Date = st.ModTime()
			}
		}
		msg.raw = nil
		res.places[it.ID] = msg
		res.items = append(res.items, it)
		return nil
	})
	res.settle()
	m.letters[folder] = res
	return res, err
}

// settle keeps UIDs only where they can be those of a mailbox: ascending, all below UIDNEXT.
func (f *mboxFolder) settle() {
	last, good := uint32(0), f.numbers.UIDValidity != 0
	for _, it := range f.items {
		if it.UID != 0 {
			good = good && it.UID > last
			last = it.UID
		}
	}
	if good {
		f.numbers.UIDNext = max(f.numbers.UIDNext, last+1)
		return
	}
	f.numbers = Numbers{}
	for i := range f.items {
		f.items[i].UID = 0
	}
}

// Fetch implements Source.
func (m *Mbox) Fetch(ctx context.Context, folder string, items []Item, fn func(Item, []byte, error) error) error {
	f, err := os.Open(m.files[folder])
	if err != nil {
		return fmt.Errorf("read the mbox: %w", err)
	}
	defer f.Close() // read only
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		place := m.places[it.ID]
		if place.length > m.max {
			err = fn(it, nil, fmt.Errorf("%w: %d bytes, more than the limit of %d", ErrMessage, place.length, m.max))
		} else {
			raw := make([]byte, place.length)
			if _, err := f.ReadAt(raw, place.offset); err != nil {
				return fmt.Errorf("read the mbox: %w", err)
			}
			err = fn(it, parseMbox(raw).body, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readNames reads a file of a name a line; without the file it is nil.
func readNames(path string) (map[string]bool, error) {
	text, err := readSmall(path)
	if err != nil || text == nil {
		return nil, err
	}
	names := map[string]bool{}
	for l := range strings.SplitSeq(string(text), "\n") {
		if l = strings.TrimSuffix(l, "\r"); l != "" {
			names[l] = true
		}
	}
	return names, nil
}
