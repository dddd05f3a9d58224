package state

import (
	"bytes"
	"encoding/binary"

	"angarium/eventlog/event"
)

// GetTotals reads the row of the shard.
func GetTotals(r Reader) (*Totals, error) {
	row, err := getRow[Totals](r, keyTotals)
	if row == nil && err == nil {
		row = new(Totals)
	}
	return row, err
}

// GetAccount reads an account, also a deleted one; nil when there never was one.
func GetAccount(r Reader, name string) (*Account, error) { return getRow[Account](r, keyAccount(name)) }

// GetMailbox reads a mailbox; nil when there is none.
func GetMailbox(r Reader, id event.MailboxID) (*Mailbox, error) {
	return getRow[Mailbox](r, keyMailbox(id))
}

// GetGrave reads what is kept of a deleted mailbox; nil when there is nothing: it never was, is there, or was deleted before graves were kept.
func GetGrave(r Reader, account string, id event.MailboxID) (*Grave, error) {
	return getRow[Grave](r, keyNamed(tableGrave, account, string(id[:])))
}

// ScanGraves yields what is kept of an account's deleted mailboxes, in order of their ids.
func ScanGraves(r Reader, account string, fn func(event.MailboxID, *Grave) (bool, error)) error {
	prefix := keyNamed(tableGrave, account, "")
	return scanRows(prefix, r, func(k []byte, g *Grave) (bool, error) {
		var id event.MailboxID
		copy(id[:], k[len(prefix):])
		return fn(id, g)
	})
}

// LookupMailbox finds a mailbox by its exact name; nil when there is none.
func LookupMailbox(r Reader, account, name string) (*Mailbox, error) {
	v, err := r.Get(keyNamed(tableName, account, name))
	if v == nil || err != nil {
		return nil, err
	}
	var id event.MailboxID
	copy(id[:], v)
	return GetMailbox(r, id)
}

// GetBody reads the row of a body; nil when the body is not known, or not yet complete.
func GetBody(r Reader, guid event.GUID) (*Body, error) {
	return getRow[Body](r, keyBody(tableBody, guid))
}

func getRow[T any](r Reader, key []byte) (*T, error) {
	v, err := r.Get(key)
	if v == nil || err != nil {
		return nil, err
	}
	return decodeRow[T](key, v)
}

// GetMessage reads what never changes of a message; ok is false when there is none. The structure is the caller's own.
func GetMessage(r Reader, id event.MailboxID, uid uint32) (m Message, ok bool, err error) {
	v, err := r.Get(keyOf(tableMessage, id, uid))
	if v == nil || err != nil {
		return Message{}, false, err
	}
	m, err = decodeMessage(uid, v)
	m.Structure = bytes.Clone(m.Structure)
	return m, err == nil, err
}

// GetPage reads a page of live messages; an absent page is empty.
func GetPage(r Reader, id event.MailboxID, number uint32) (Page, error) {
	v, err := r.Get(keyOf(tablePage, id, number))
	if err != nil {
		return nil, err
	}
	return decodePage(number, v)
}

// ScanAccounts yields the accounts in order of their names, deleted ones too.
func ScanAccounts(r Reader, fn func(*Account) (bool, error)) error {
	return scanRows([]byte{tableAccount}, r, func(_ []byte, a *Account) (bool, error) { return fn(a) })
}

// ScanAllMailboxes yields every mailbox of the shard, in no useful order.
func ScanAllMailboxes(r Reader, fn func(*Mailbox) (bool, error)) error {
	return scanRows([]byte{tableMailbox}, r, func(_ []byte, m *Mailbox) (bool, error) { return fn(m) })
}

func scanRows[T any](prefix []byte, r Reader, fn func(key []byte, row *T) (bool, error)) error {
	return r.Scan(prefix, after(prefix), func(k, v []byte) (bool, error) {
		row, err := decodeRow[T](k, v)
		if err != nil {
			return false, err
		}
		return fn(k, row)
	})
}

// Mailboxes lists an account's mailboxes in order of their names.
func Mailboxes(r Reader, account string) ([]*Mailbox, error) {
	var ids []event.MailboxID
	prefix := keyNamed(tableName, account, "")
	err := r.Scan(prefix, after(prefix), func(_, v []byte) (bool, error) {
		var id event.MailboxID
		copy(id[:], v)
		ids = append(ids, id)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]*Mailbox, 0, len(ids))
	for _, id := range ids {
		m, err := GetMailbox(r, id)
		if err != nil {
			return nil, err
		}
		if m != nil {
			list = append(list, m)
		}
	}
	return list, nil
}

// Subscriptions lists the names an account is subscribed to, in order.
func Subscriptions(r Reader, account string) ([]string, error) {
	var names []string
	prefix := keyNamed(tableSubscription, account, "")
	err := r.Scan(prefix, after(prefix), func(k, _ []byte) (bool, error) {
		names = append(names, string(k[len(prefix):]))
		return true, nil
	})
	return names, err
}

// ScanPages yields the pages of a mailbox in order. The page is the callee's own.
func ScanPages(r Reader, id event.MailboxID, fn func(number uint32, p Page) (bool, error)) error {
	prefix := prefixOf(tablePage, id)
	return r.Scan(prefix, after(prefix), func(k, v []byte) (bool, error) {
		n := binary.BigEndian.Uint32(k[len(prefix):])
		p, err := decodePage(n, v)
		if err != nil {
			return false, err
		}
		return fn(n, p)
	})
}

// ScanMessages yields what never changes of the messages first ≤ UID ≤ last. The structure is valid during the call only.
func ScanMessages(r Reader, id event.MailboxID, first, last uint32, fn func(Message) (bool, error)) error {
	hi := keyOf(tableMessage, id, last)
	prefix := prefixOf(tableMessage, id)
	return r.Scan(keyOf(tableMessage, id, first), append(hi, 0), func(k, v []byte) (bool, error) {
		m, err := decodeMessage(binary.BigEndian.Uint32(k[len(prefix):]), v)
		if err != nil {
			return false, err
		}
		return fn(m)
	})
}

// ScanTombstones yields the sets of UIDs that were expunged after modseq since, in order of modseq.
func ScanTombstones(r Reader, id event.MailboxID, since uint64, fn func(modseq uint64, uids event.UIDSet) (bool, error)) error {
	prefix := prefixOf(tableTombstone, id)
	return r.Scan(keyTombstone(id, since+1), after(prefix), func(k, v []byte) (bool, error) {
		set, err := decodeRow[event.UIDSet](k, v)
		if err != nil {
			return false, err
		}
		return fn(binary.BigEndian.Uint64(k[len(prefix):]), *set)
	})
}
