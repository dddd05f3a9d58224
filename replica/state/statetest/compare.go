package statetest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/google/go-cmp/cmp"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// shown is what can be seen of a state, in a form that is easily compared and printed.
type shown struct {
	Epoch               uint64
	Primary             string
	Mailboxes, Messages uint64
	Accounts            []account
	Bodies              map[event.GUID]body
}

type account struct {
	Name                             string
	Credential                       event.Credential
	Disabled, Deleted                bool
	Modseq                           uint64
	UIDValidity, Imported, Mailboxes uint32
	Created                          int64
	Subscribed                       []string
	Boxes                            []mailbox
	Skipped                          []state.Skipped
	Graves                           map[event.MailboxID]state.Grave
}

type mailbox struct {
	ID                             event.MailboxID
	Name                           string
	UIDValidity, UIDNext, Recent   uint32
	UIDFloor                       uint32
	Modseq, Created, TombstoneFrom uint64
	SpecialUse, Keywords           []string
	Messages, Unseen, Deleted      uint32
	Size                           uint64
	List                           []message
	Tombstones                     map[uint64]string
}

type message struct {
	UID                    uint32
	Modseq                 uint64
	Flags                  string
	GUID                   event.GUID
	Size                   uint64
	InternalDate, SaveDate int64
	Structure              string
}

type body struct {
	Size      uint64
	Encoding  event.Encoding
	Stored    uint64
	Structure string
}

// BodyReader gives the encoded bytes of a body.
type BodyReader func(event.GUID, *state.Body) ([]byte, error)

// Diff says how a state differs from the model, "" when it does not. bodies may be nil.
func (m *Model) Diff(r state.Reader, bodies BodyReader) (string, error) {
	got, err := read(r)
	if err != nil {
		return "", err
	}
	if want := m.shown(); !reflect.DeepEqual(want, got) {
		return cmp.Diff(want, got), nil
	}
	if bodies != nil {
		for guid, want := range m.Bodies {
			row, err := state.GetBody(r, guid)
			if err != nil {
				return "", err
			}
			stored, err := bodies(guid, row)
			if err != nil || !bytes.Equal(stored, want.Stored) {
				return fmt.Sprintf("body %s: %d encoded bytes, want %d (%v)", guid, len(stored), len(want.Stored), err), nil
			}
		}
	}
	return m.strays(r)
}

func (m *Model) shown() *shown {
	s := &shown{Epoch: m.Epoch, Primary: m.Primary, Bodies: map[event.GUID]body{}}
	for guid, b := range m.Bodies {
		s.Bodies[guid] = body{b.Size, b.Encoding, b.Length, string(b.Structure)}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Accounts)) {
		a := m.Accounts[name]
		row := account{
			Name: name, Credential: a.Credential, Disabled: a.Disabled, Deleted: a.Deleted, Modseq: a.Modseq, UIDValidity: a.UIDValidity, Imported: a.Imported,
			Created: a.Created, Subscribed: slices.Sorted(maps.Keys(a.Subscribed)), Skipped: a.Skipped, Graves: map[event.MailboxID]state.Grave{},
		}
		for id, b := range m.Graves {
			if b.Account == name {
				row.Graves[id] = state.Grave{UIDValidity: b.UIDValidity, UIDNext: b.FirstUID()}
			}
		}
		for _, b := range m.boxesOf(name) {
			row.Mailboxes++
			s.Mailboxes++
			s.Messages += uint64(len(b.Messages))
			row.Boxes = append(row.Boxes, m.shownBox(b))
		}
		s.Accounts = append(s.Accounts, row)
	}
	return s
}

// boxesOf lists an account's mailboxes by name.
func (m *Model) boxesOf(account string) []*Mailbox {
	byName := map[string]*Mailbox{}
	for _, b := range m.Mailboxes {
		if b.Account == account {
			byName[b.Name] = b
		}
	}
	var list []*Mailbox
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list
}

func (m *Model) shownBox(b *Mailbox) mailbox {
	s := mailbox{
		ID: b.ID, Name: b.Name, UIDValidity: b.UIDValidity, UIDNext: b.UIDNext, UIDFloor: b.UIDFloor, Recent: b.Recent, Modseq: b.Modseq, Created: b.Created,
		TombstoneFrom: b.Created, SpecialUse: b.SpecialUse, Keywords: b.Keywords, Messages: uint32(len(b.Messages)),
		Tombstones: map[uint64]string{},
	}
	for _, n := range b.Messages {
		of := m.Bodies[n.GUID]
		s.Size += of.Size
		if !n.Flags[`\Seen`] {
			s.Unseen++
		}
		if n.Flags[`\Deleted`] {
			s.Deleted++
		}
		s.List = append(s.List, message{
			n.UID, n.Modseq, fmt.Sprint(b.ordered(n.Flags)), n.GUID, of.Size, n.InternalDate, n.SaveDate, string(of.Structure),
		})
	}
	for modseq, uids := range b.Tombstones {
		s.Tombstones[modseq] = event.UIDsOf(uids...).String()
	}
	return s
}

func read(r state.Reader) (*shown, error) {
	t, err := state.GetTotals(r)
	if err != nil {
		return nil, err
	}
	s := &shown{Epoch: t.Epoch, Primary: t.Primary, Mailboxes: t.Mailboxes, Messages: t.Messages, Bodies: map[event.GUID]body{}}
	var rows []*state.Account
	err = state.ScanAccounts(r, func(a *state.Account) (bool, error) { rows = append(rows, a); return true, nil })
	if err != nil {
		return nil, err
	}
	for _, a := range rows {
		row := account{
			Name: a.Name, Credential: a.Credential, Disabled: a.Disabled, Deleted: a.Deleted, Modseq: a.Modseq, UIDValidity: a.UIDValidity, Imported: a.Imported,
			Mailboxes: a.Mailboxes, Created: a.Created, Skipped: a.Skipped, Graves: map[event.MailboxID]state.Grave{},
		}
		err := state.ScanGraves(r, a.Name, func(id event.MailboxID, g *state.Grave) (bool, error) { row.Graves[id] = *g; return true, nil })
		if err != nil {
			return nil, err
		}
		if row.Subscribed, err = state.Subscriptions(r, a.Name); err != nil {
			return nil, err
		}
		boxes, err := state.Mailboxes(r, a.Name)
		if err != nil {
			return nil, err
		}
		for _, b := range boxes {
			box, err := readBox(r, b)
			if err != nil {
				return nil, err
			}
			row.Boxes = append(row.Boxes, box)
		}
		s.Accounts = append(s.Accounts, row)
	}
	return s, readBodies(r, s.Bodies)
}

func readBox(r state.Reader, b *state.Mailbox) (mailbox, error) {
	s := mailbox{
		ID: b.ID, Name: b.Name, UIDValidity: b.UIDValidity, UIDNext: b.UIDNext, UIDFloor: b.UIDFloor, Recent: b.RecentUID, Modseq: b.HighestModseq,
		Created: b.CreatedModseq, TombstoneFrom: b.TombstoneFrom, SpecialUse: b.SpecialUse, Keywords: b.Keywords, Messages: b.Messages,
		Unseen: b.Unseen, Deleted: b.Deleted, Size: b.Size, Tombstones: map[uint64]string{},
	}
	var live []state.Live
	err := state.ScanPages(r, b.ID, func(_ uint32, p state.Page) (bool, error) { live = append(live, p...); return true, nil })
	if err != nil {
		return s, err
	}
	for _, l := range live {
		m, ok, err := state.GetMessage(r, b.ID, l.UID)
		if err != nil || !ok {
			return s, fmt.Errorf("record of message %d: %v, %w", l.UID, ok, err)
		}
		s.List = append(s.List, message{
			l.UID, l.Modseq, fmt.Sprint(l.Flags.Names(b.Keywords)), m.GUID, m.Size, m.InternalDate, m.SaveDate, string(m.Structure),
		})
	}
	return s, state.ScanTombstones(r, b.ID, 0, func(modseq uint64, uids event.UIDSet) (bool, error) {
		s.Tombstones[modseq] = uids.String()
		return true, nil
	})
}

func readBodies(r state.Reader, into map[event.GUID]body) error {
	var guids []event.GUID
	err := r.Scan([]byte{'b'}, []byte{'c'}, func(k, _ []byte) (bool, error) {
		guids = append(guids, event.GUID(k[1:]))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, guid := range guids {
		b, err := state.GetBody(r, guid)
		if err != nil {
			return err
		}
		into[guid] = body{b.Size, b.Encoding, b.Stored, string(b.Structure)}
	}
	return nil
}

// strays looks for rows that belong to nothing.
func (m *Model) strays(r state.Reader) (found string, err error) {
	messages := 0
	err = r.Scan([]byte{'A'}, []byte{'z'}, func(k, _ []byte) (bool, error) {
		switch k[0] {
		case 'f', 'm', 'x':
			if m.Mailboxes[event.MailboxID(k[1:17])] == nil {
				found = fmt.Sprintf("row %q of a mailbox that is not there", k)
			}
			if k[0] == 'm' {
				messages++
			}
		case 'p':
			guid := event.GUID(k[1:])
			if m.Uploads[guid] == nil && m.Bodies[guid] == nil {
				found = fmt.Sprintf("row %q of an upload that never began", k)
			}
		}
		return found == "", nil
	})
	for _, b := range m.Mailboxes {
		messages -= len(b.Messages)
	}
	if err == nil && found == "" && messages != 0 {
		found = fmt.Sprintf("%d records too many", messages)
	}
	return found, err
}

// Key tells the rows of a Memory apart by table, account or mailbox, and number: for messages of tests.
func Key(k []byte) string {
	switch {
	case len(k) == 21 && (k[0] == 'f' || k[0] == 'm'):
		return fmt.Sprintf("%c %x %d", k[0], k[1:17], binary.BigEndian.Uint32(k[17:]))
	case len(k) == 25 && k[0] == 'x':
		return fmt.Sprintf("x %x %d", k[1:17], binary.BigEndian.Uint64(k[17:]))
	}
	return fmt.Sprintf("%q", k)
}
