package compare

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/cespare/xxhash/v2"
	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// Digest says what a mailbox, or an account as such, is like on one node.
type Digest struct {
	Account       string `cbor:"1,keyasint" json:"account"`
	ID            string `cbor:"2,keyasint,omitempty" json:"id,omitempty"`      // of the mailbox, in hex; "" for the account as such
	Mailbox       string `cbor:"3,keyasint,omitempty" json:"mailbox,omitempty"` // its name
	UIDValidity   uint32 `cbor:"4,keyasint,omitempty" json:"uidvalidity"`       // of an account: the last one given
	UIDNext       uint32 `cbor:"5,keyasint,omitempty" json:"uidnext,omitempty"`
	HighestModseq uint64 `cbor:"6,keyasint,omitempty" json:"highestmodseq"` // of an account: the last one given
	Messages      uint32 `cbor:"7,keyasint,omitempty" json:"messages,omitempty"`
	Kept          uint64 `cbor:"8,keyasint,omitempty" json:"digest,omitempty"`   // of the messages, as the replica keeps it
	Row           uint64 `cbor:"9,keyasint,omitempty" json:"row,omitempty"`      // of all that the row says, and of an account's subscriptions
	Content       uint64 `cbor:"10,keyasint,omitempty" json:"content,omitempty"` // of messages and tombstones, from the records; with Options.Deep
	Damage        string `cbor:"11,keyasint,omitempty" json:"damage,omitempty"`  // what contradicts itself, with Options.Deep
}

// order of a stream of digests: accounts by name, then mailboxes by id.
func (d Digest) order(e Digest) int {
	return cmp.Or(cmp.Compare(d.ID, e.ID), cmp.Compare(d.Account, e.Account))
}

// Options says what is to be compared.
type Options struct {
	Account string // only this account's, if not empty
	Deep    bool   // compute the digests of the messages from the records
}

// rowEnc writes rows as package state does: the same row gives the same bytes on every node.
var rowEnc = newRowEnc()

func newRowEnc() cbor.EncMode {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options
	}
	return enc
}

// Digests yields the digests of a shard: of its accounts by name, deleted ones too, then of its mailboxes by id. It ends with the first error.
func Digests(ctx context.Context, r state.Reader, opts Options) iter.Seq2[Digest, error] {
	return func(yield func(Digest, error) bool) {
		more := true
		send := func(d Digest, err error) (bool, error) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return false, err
			}
			more = yield(d, nil)
			return more, nil
		}
		err := state.ScanAccounts(r, func(a *state.Account) (bool, error) {
			if opts.Account != "" && opts.Account != a.Name {
				return true, nil
			}
			return send(accountDigest(r, a))
		})
		if err == nil && more {
			err = state.ScanAllMailboxes(r, func(m *state.Mailbox) (bool, error) {
				if opts.Account != "" && opts.Account != m.Account {
					return true, nil
				}
				return send(mailboxDigest(r, m, opts.Deep))
			})
		}
		if err != nil {
			yield(Digest{}, fmt.Errorf("digests: %w", err))
		}
	}
}

func accountDigest(r state.Reader, a *state.Account) (Digest, error) {
	subscribed, err := state.Subscriptions(r, a.Name)
	if err != nil {
		return Digest{}, err
	}
	row, err := hashOf(struct {
		Account    *state.Account
		Subscribed []string
	}{a, subscribed})
	return Digest{Account: a.Name, UIDValidity: a.UIDValidity, HighestModseq: a.Modseq, Row: row}, err
}

func hashOf(row any) (uint64, error) {
	b, err := rowEnc.Marshal(row)
	return xxhash.Sum64(b), err
}

func mailboxDigest(r state.Reader, m *state.Mailbox, deep bool) (Digest, error) {
	row, err := hashOf(m)
	if err != nil {
		return Digest{}, err
	}
	d := Digest{
		Account: m.Account, ID: m.ID.String(), Mailbox: m.Name, UIDValidity: m.UIDValidity, UIDNext: m.UIDNext,
		HighestModseq: m.HighestModseq, Messages: m.Messages, Kept: m.Digest, Row: row,
	}
	if deep {
		err = d.recompute(r, m)
	}
	return d, err
}

// recompute looks at the messages themselves.
func (d *Digest) recompute(r state.Reader, m *state.Mailbox) error {
	sum := hasher{xxhash.New()}
	count, broken := uint32(0), uint32(0)
	_, err := scanRecords(r, m, func(rec Record) bool {
		count++
		if rec.Damage != "" {
			broken++
		}
		rec.Mailbox = "" // a rename changes no message; the name is in the row
		sum.record(&rec)
		return true
	})
	if err != nil {
		return err
	}
	err = state.ScanTombstones(r, m.ID, 0, func(modseq uint64, uids event.UIDSet) (bool, error) {
		sum.number(modseq)
		sum.text(uids.String())
		return true, nil
	})
	d.Content = sum.Sum64()
	switch {
	case broken > 0:
		d.Damage = fmt.Sprintf("%d messages are not whole", broken)
	case count != m.Messages:
		d.Damage = fmt.Sprintf("the row says %d messages, there are %d", m.Messages, count)
	}
	return err
}

// hasher feeds values to a hash, each with its length or in a fixed one, so that no two sequences of values give the same bytes.
type hasher struct{ *xxhash.Digest }

func (h hasher) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = h.Write(b[:]) // a hash never fails
}

func (h hasher) text(s string) {
	h.number(uint64(len(s)))
	_, _ = h.WriteString(s)
}

func (h hasher) record(r *Record) {
	h.number(uint64(r.UID))
	h.number(r.Modseq)
	h.number(uint64(len(r.Flags)))
	for _, f := range r.Flags {
		h.text(f)
	}
	h.text(r.GUID)
	h.number(r.Size)
	h.number(uint64(r.InternalDate))
	h.number(uint64(r.SaveDate))
	h.text(r.Damage)
}
