package state

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// The digest of a mailbox is the XOR, over its live messages, of a 64-bit hash of what never changes and of a 64-bit hash of
// what does; each holds the UID. The digest of the state is the XOR, over the rows of accounts, mailboxes (with their digests)
// and subscriptions, of a hash of key and value. Both are kept incrementally, independent of order, and have no value that
// means "not known".

func digestFixed(m *Message) uint64 {
	var b [60]byte
	binary.BigEndian.PutUint32(b[0:], m.UID)
	copy(b[4:], m.GUID[:])
	binary.BigEndian.PutUint64(b[36:], m.Size)
	binary.BigEndian.PutUint64(b[44:], uint64(m.InternalDate))
	binary.BigEndian.PutUint64(b[52:], uint64(m.SaveDate))
	return xxhash.Sum64(b[:])
}

func digestLive(l Live) uint64 {
	var b [28]byte
	binary.BigEndian.PutUint32(b[0:], l.UID)
	binary.BigEndian.PutUint64(b[4:], l.Modseq)
	binary.BigEndian.PutUint64(b[12:], l.Flags[0])
	binary.BigEndian.PutUint64(b[20:], l.Flags[1])
	return xxhash.Sum64(b[:])
}

func digestRow(key, value []byte) uint64 {
	d := xxhash.New()
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(key)))
	_, _ = d.Write(n[:]) // a hash never fails
	_, _ = d.Write(key)
	_, _ = d.Write(value)
	return d.Sum64()
}
