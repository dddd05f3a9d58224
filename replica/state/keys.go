package state

import (
	"encoding/binary"

	"angarium/eventlog/event"
)

// Keys begin with a letter that names the table. Numbers are big-endian, so that order of keys is order of numbers.
//
//	T                            Totals
//	A <account>                  Account
//	N <account> 00 <name>        mailbox id
//	S <account> 00 <name>        subscription (one byte, 1)
//	M <mailbox id>               Mailbox
//	f <mailbox id> <page>        Page
//	g <account> 00 <mailbox id>  Grave
//	m <mailbox id> <uid>         Message
//	x <mailbox id> <modseq>      tombstones: event.UIDSet
//	b <guid>                     Body
//	p <guid>                     Body that is not complete yet
const (
	tableTotals       = 'T'
	tableAccount      = 'A'
	tableName         = 'N'
	tableSubscription = 'S'
	tableMailbox      = 'M'
	tableGrave        = 'g'
	tablePage         = 'f'
	tableMessage      = 'm'
	tableTombstone    = 'x'
	tableBody         = 'b'
	tablePartial      = 'p'
)

var keyTotals = []byte{tableTotals}

func keyAccount(name string) []byte { return append([]byte{tableAccount}, name...) }

func keyNamed(table byte, account, name string) []byte {
	k := make([]byte, 0, 2+len(account)+len(name))
	k = append(append(k, table), account...)
	return append(append(k, 0), name...)
}

func keyMailbox(id event.MailboxID) []byte { return append([]byte{tableMailbox}, id[:]...) }

func keyOf(table byte, id event.MailboxID, n uint32) []byte {
	k := make([]byte, 0, 21)
	k = append(append(k, table), id[:]...)
	return binary.BigEndian.AppendUint32(k, n)
}

func keyTombstone(id event.MailboxID, modseq uint64) []byte {
	k := make([]byte, 0, 25)
	k = append(append(k, tableTombstone), id[:]...)
	return binary.BigEndian.AppendUint64(k, modseq)
}

func keyBody(table byte, guid event.GUID) []byte { return append([]byte{table}, guid[:]...) }

// prefixOf is the prefix of all keys of a mailbox in a table.
func prefixOf(table byte, id event.MailboxID) []byte { return append([]byte{table}, id[:]...) }

// after gives the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return []byte{0xff, 0xff, 0xff, 0xff}
}

// IsBodyKey says whether a key is that of a body, known or not yet complete. Such keys are often asked for and not there.
func IsBodyKey(key []byte) bool {
	return len(key) > 0 && (key[0] == tableBody || key[0] == tablePartial)
}
