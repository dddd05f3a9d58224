package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// maxItems bounds the messages of a folder of another server.
const maxItems = 10_000_000

// IMAP is an account on another IMAP server. Connections that break are made anew.
type IMAP struct {
	opts    IMAPOptions
	session *session
	raw     map[string]string // names as the server has them
	numbers map[string]Numbers
}

// OpenIMAP logs in.
func OpenIMAP(ctx context.Context, opts IMAPOptions) (*IMAP, error) {
	if opts.Retries == 0 {
		opts.Retries = 5
	}
	if opts.Pause == 0 {
		opts.Pause = time.Second
	}
	s := &IMAP{opts: opts, numbers: map[string]Numbers{}}
	if err := s.try(ctx, func(*session) error { return nil }); err != nil {
		return nil, err
	}
	return s, nil
}

// Name names the account for a ledger.
func (s *IMAP) Name() string { return "imap " + hostOf(s.opts.Address) + " " + s.opts.User }

// Close implements Source.
func (s *IMAP) Close() error {
	s.drop()
	return nil
}

func (s *IMAP) drop() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}

// try calls fn with a connection, again and again with new ones while they break.
func (s *IMAP) try(ctx context.Context, fn func(*session) error) error {
	pause := s.opts.Pause
	for attempt := 0; ; attempt++ {
		var err error
		if s.session == nil {
			s.session, err = s.opts.dial(ctx)
		}
		if err == nil {
			err = fn(s.session)
		}
		if err == nil || lasting(err) {
			return err
		}
		s.drop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt == s.opts.Retries {
			return fmt.Errorf("%s: given up after %d attempts: %w", s.opts.Address, attempt+1, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// Folders implements Source.
func (s *IMAP) Folders(ctx context.Context) ([]Folder, error) {
	var list []*imap.ListData
	var spaces *imap.NamespaceData
	extended := false
	err := s.try(ctx, func(c *session) error {
		caps := c.client.Caps()
		var opts *imap.ListOptions
		if extended = caps.Has(imap.CapListExtended) || caps.Has(imap.CapIMAP4rev2); extended {
			opts = &imap.ListOptions{ReturnSubscribed: true, ReturnSpecialUse: caps.Has(imap.CapSpecialUse) || caps.Has(imap.CapIMAP4rev2)}
		}
		var err error
		if list, err = c.client.List("", "*", opts).Collect(); err != nil {
			return fmt.Errorf("LIST: %w", err)
		}
		if caps.Has(imap.CapNamespace) || caps.Has(imap.CapIMAP4rev2) {
			if spaces, err = c.client.Namespace().Wait(); err != nil {
				return fmt.Errorf("NAMESPACE: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(list) > maxFolders {
		return nil, fmt.Errorf("%w: more than %d folders", ErrSource, maxFolders)
	}
	s.raw = map[string]string{}
	var folders []Folder
	for _, l := range list {
		name, ours := folderName(l, spaces)
		if !ours || slices.ContainsFunc(l.Attrs, cannotOpen) || s.raw[name] != "" {
			continue
		}
		s.raw[name] = l.Mailbox
		folders = append(folders, folderOf(name, l, extended))
	}
	return folders, nil
}

func cannotOpen(a imap.MailboxAttr) bool {
	return strings.EqualFold(string(a), string(imap.MailboxAttrNoSelect)) || strings.EqualFold(string(a), string(imap.MailboxAttrNonExistent))
}

func folderOf(name string, l *imap.ListData, extended bool) Folder {
	f := Folder{Name: name, Subscribed: !extended} // a server that does not tell: all of them
	for _, a := range l.Attrs {
		switch strings.ToLower(string(a)) {
		case `\subscribed`:
			f.Subscribed = true
		case `\all`, `\flagged`, `\important`:
			f.Virtual = true
			f.SpecialUse = append(f.SpecialUse, string(a))
		case `\archive`, `\drafts`, `\junk`, `\sent`, `\trash`:
			f.SpecialUse = append(f.SpecialUse, string(a))
		}
	}
	return f
}

// folderName gives a name with "/" between its levels, without the prefix of the personal namespace (RFC 2342). Folders of others are not ours.
func folderName(l *imap.ListData, spaces *imap.NamespaceData) (string, bool) {
	name := l.Mailbox
	if strings.EqualFold(name, inbox) {
		return inbox, true
	}
	if spaces != nil {
		for _, others := range [][]imap.NamespaceDescriptor{spaces.Other, spaces.Shared} {
			for _, n := range others {
				if n.Prefix != "" && (strings.HasPrefix(name, n.Prefix) || name+string(n.Delim) == n.Prefix) {
					return "", false
				}
			}
		}
		for _, n := range spaces.Personal {
			if rest, ok := strings.CutPrefix(name, n.Prefix); ok && rest != "" {
				name = rest
				break
			}
		}
	}
	if l.Delim != 0 && l.Delim != '/' {
		name = strings.ReplaceAll(name, "/", "_")
		name = strings.ReplaceAll(name, string(l.Delim), "/")
	}
	return name, name != ""
}

// open selects a folder, read-only.
func (s *IMAP) open(c *session, folder string) (*imap.SelectData, error) {
	raw := s.raw[folder]
	caps := c.client.Caps()
	opts := &imap.SelectOptions{ReadOnly: true, CondStore: caps.Has(imap.CapCondStore) || caps.Has(imap.CapQResync)}
	c.selected = ""
	data, err := c.client.Select(raw, opts).Wait()
	if err != nil {
		return nil, err
	}
	c.selected = raw
	return data, nil
}

// Numbers implements Source.
func (s *IMAP) Numbers(ctx context.Context, folder string) (Numbers, error) {
	var n Numbers
	err := s.try(ctx, func(c *session) error {
		data, err := s.open(c, folder)
		if err != nil {
			return err
		}
		n = Numbers{UIDValidity: data.UIDValidity, UIDNext: uint32(data.UIDNext), Modseq: data.HighestModSeq}
		return nil
	})
	if err != nil && lasting(err) && ctx.Err() == nil {
		return n, fmt.Errorf("%w: folder cannot be opened: %w", ErrMessage, err)
	}
	s.numbers[folder] = n
	return n, err
}

// Items implements Source.
func (s *IMAP) Items(ctx context.Context, folder string) ([]Item, error) {
	var items []Item
	err := s.try(ctx, func(c *session) error {
		items = nil
		data, err := s.open(c, folder)
		if err != nil {
			return err
		}
		if data.UIDValidity != s.numbers[folder].UIDValidity {
			return stop(fmt.Errorf("%w: UIDVALIDITY changed meanwhile: try again", ErrMessage))
		}
		if data.NumMessages == 0 {
			return nil
		}
		items, err = list(c.client, data.UIDValidity)
		return err
	})
	if err == nil {
		slices.SortFunc(items, func(a, b Item) int { return cmp.Compare(a.UID, b.UID) })
		items = slices.CompactFunc(items, func(a, b Item) bool { return a.UID == b.UID })
	}
	return items, err
}

// list asks for all messages of the selected folder, without their bytes.
func list(client *imapclient.Client, validity uint32) ([]Item, error) {
	cmd := client.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true})
	var items []Item
	var failed error
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		buf, err := m.Collect()
		if err != nil {
			failed = err
			break
		}
		if buf.UID == 0 {
			continue // unsolicited
		}
		if len(items) >= maxItems {
			failed = stop(fmt.Errorf("%w: more than %d messages in a folder", ErrSource, maxItems))
			break
		}
		it := Item{ID: fmt.Sprintf("%d:%d", validity, buf.UID), UID: uint32(buf.UID), Date: buf.InternalDate, Size: buf.RFC822Size}
		for _, f := range buf.Flags {
			if strings.EqualFold(string(f), `\Recent`) {
				it.Recent = true
				continue
			}
			it.Flags = append(it.Flags, string(f))
		}
		items = append(items, it)
	}
	if err := cmd.Close(); failed == nil && err != nil {
		failed = fmt.Errorf("FETCH: %w", err)
	}
	return items, failed
}

// Fetch implements Source.
func (s *IMAP) Fetch(ctx context.Context, folder string, items []Item, fn func(Item, []byte, error) error) error {
	return batches(items, func(b []Item) error {
		err := s.fetch(ctx, folder, b, fn)
		if _, ours := errors.AsType[stopError](err); err == nil || ours || !lasting(err) || len(b) == 1 {
			return s.one(b, err, fn)
		}
		// One of them cannot be had: which?
		for i := range b {
			one := b[i : i+1]
			if err := s.one(one, s.fetch(ctx, folder, one, fn), fn); err != nil {
				return err
			}
		}
		return nil
	})
}

// one tells of a single message that the server refuses.
func (s *IMAP) one(b []Item, err error, fn func(Item, []byte, error) error) error {
	if _, ours := errors.AsType[stopError](err); err == nil || ours || !lasting(err) || len(b) != 1 {
		return err
	}
	return fn(b[0], nil, fmt.Errorf("%w: %w", ErrMessage, err))
}

// fetch fetches messages at once; those that came before a connection broke are not fetched again.
func (s *IMAP) fetch(ctx context.Context, folder string, items []Item, fn func(Item, []byte, error) error) error {
	left := make(map[imap.UID]Item, len(items))
	for _, it := range items {
		left[imap.UID(it.UID)] = it
	}
	return s.try(ctx, func(c *session) error {
		if c.selected != s.raw[folder] {
			data, err := s.open(c, folder)
			if err != nil {
				return err
			}
			if data.UIDValidity != s.numbers[folder].UIDValidity {
				return stop(fmt.Errorf("UIDVALIDITY of folder %q changed meanwhile: run the import again", folder))
			}
		}
		var set imap.UIDSet
		for uid := range left {
			set.AddNum(uid)
		}
		if len(set) == 0 {
			return nil
		}
		section := &imap.FetchItemBodySection{Peek: true}
		cmd := c.client.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
		err := s.receive(cmd, left, fn)
		if closed := cmd.Close(); err == nil && closed != nil {
			err = fmt.Errorf("FETCH: %w", closed)
		}
		return err
	})
}

// receive reads the answers of a FETCH. Messages come in any order of the server's, which is that of the UIDs nearly always.
func (s *IMAP) receive(cmd *imapclient.FetchCommand, left map[imap.UID]Item, fn func(Item, []byte, error) error) error {
	for m := cmd.Next(); m != nil; m = cmd.Next() {
		var uid imap.UID
		var raw []byte
		var failed error
		for item := m.Next(); item != nil; item = m.Next() {
			switch item := item.(type) {
			case imapclient.FetchItemDataUID:
				uid = item.UID
			case imapclient.FetchItemDataBodySection:
				var err error
				if raw, failed, err = s.read(item.Literal); err != nil {
					return err
				}
			}
		}
		it, ok := left[uid]
		if !ok || (raw == nil && failed == nil) {
			continue // unsolicited
		}
		delete(left, uid)
		if err := fn(it, raw, failed); err != nil {
			return stop(err)
		}
	}
	return nil
}

// read reads a body. One that is too large is passed over.
func (s *IMAP) read(lit imap.LiteralReader) (raw []byte, failed, err error) {
	if lit == nil {
		return nil, fmt.Errorf("%w: the server gives no body", ErrMessage), nil
	}
	if lit.Size() > s.opts.MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, more than the limit of %d", ErrMessage, lit.Size(), s.opts.MaxMessage), nil
	}
	raw, err = io.ReadAll(lit)
	if err == nil && int64(len(raw)) != lit.Size() {
		err = io.ErrUnexpectedEOF
	}
	return raw, nil, err
}
