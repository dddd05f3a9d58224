package statetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"angarium/eventlog/event"
	"angarium/internal/codec"
)

// modseq gives an account's next modseq, mostly the very next.
func (h *History) modseq(a *Account) uint64 { return a.Modseq + 1 + uint64(h.rnd.IntN(8)/7*3) }

// box picks a mailbox that is there, of an account if it is not nil.
func (h *History) box(of *Account) *Mailbox {
	var list []*Mailbox
	for _, name := range slices.Sorted(maps.Keys(h.Model.Accounts)) {
		if of == nil || of.Name == name {
			list = append(list, h.Model.boxesOf(name)...)
		}
	}
	return pick(h.rnd, list)
}

func (h *History) accountOf(b *Mailbox) *Account { return h.Model.Accounts[b.Account] }

// name makes a mailbox name of up to three levels.
func (h *History) name() string {
	if h.rnd.IntN(6) == 0 {
		return "INBOX"
	}
	levels := []string{"a", "b", "ü", "Lists"}
	name := pick(h.rnd, levels)
	for range h.rnd.IntN(3) {
		name += "/" + pick(h.rnd, levels)
	}
	return name
}

func (m *Model) byName(account, name string) *Mailbox {
	for _, b := range m.Mailboxes {
		if b.Account == account && b.Name == name {
			return b
		}
	}
	return nil
}

func (h *History) newID() event.MailboxID {
	sum := sha256.Sum256(fmt.Appendf(nil, "mailbox %d", h.count))
	return event.MailboxID(sum[:16])
}

func (h *History) mailboxCreated() event.Event {
	a := h.account()
	if a == nil {
		return nil
	}
	name := h.name()
	if h.Model.byName(a.Name, name) != nil {
		return nil
	}
	if h.rnd.IntN(3) == 0 {
		if e := h.mailboxAgain(a, name); e != nil {
			return e
		}
	}
	e := &event.MailboxCreated{
		Account: a.Name, Mailbox: h.newID(), Name: name, UIDValidity: a.UIDValidity + 1 + uint32(h.rnd.IntN(3)), Modseq: h.modseq(a),
		SpecialUse: h.uses(),
	}
	if a.Lowest > 1 && h.count%3 == 0 {
		e.UIDValidity, e.Imported = a.Lowest-1, true
	}
	return e
}

// mailboxAgain makes a deleted mailbox come back, nil when there is none that is small enough for the model.
func (h *History) mailboxAgain(a *Account, name string) event.Event {
	for _, id := range slices.SortedFunc(maps.Keys(h.Model.Graves), func(x, y event.MailboxID) int { return bytes.Compare(x[:], y[:]) }) {
		if b := h.Model.Graves[id]; b.Account == a.Name && b.FirstUID() < 10_000 {
			return &event.MailboxCreated{
				Account: a.Name, Mailbox: id, Name: name, UIDValidity: b.UIDValidity, UIDNext: b.FirstUID() + uint32(h.rnd.IntN(2)), Modseq: h.modseq(a),
				SpecialUse: h.uses(),
			}
		}
	}
	return nil
}

func (h *History) numbersSkipped() event.Event {
	a := h.account()
	if a == nil {
		return nil
	}
	return &event.NumbersSkipped{
		Account: a.Name, Modseq: h.modseq(a) + uint64(h.rnd.IntN(1000)), UIDValidity: a.UIDValidity + uint32(h.rnd.IntN(5)), UIDs: uint32(h.rnd.IntN(300)),
		Epoch: h.Model.Epoch,
	}
}

func (h *History) uses() []string {
	var uses []string
	for _, u := range []string{`\Archive`, `\Sent`, `\Trash`} {
		if h.rnd.IntN(5) == 0 {
			uses = append(uses, u)
		}
	}
	return uses
}

// mailboxRenamed moves a subtree, also onto names that it has itself.
func (h *History) mailboxRenamed() event.Event {
	b := h.box(nil)
	if b == nil {
		return nil
	}
	from, to := b.Name, h.name()
	if from == to {
		return nil
	}
	e := &event.MailboxRenamed{Account: b.Account, Modseq: h.modseq(h.accountOf(b))}
	moved := map[event.MailboxID]bool{}
	for _, m := range h.Model.boxesOf(b.Account) {
		if rest, ok := strings.CutPrefix(m.Name, from); ok && (rest == "" || rest[0] == '/') {
			e.Renames = append(e.Renames, event.Rename{Mailbox: m.ID, Name: to + rest})
			moved[m.ID] = true
		}
	}
	for _, r := range e.Renames {
		if m := h.Model.byName(b.Account, r.Name); m != nil && !moved[m.ID] {
			return nil
		}
	}
	return e
}

func (h *History) mailboxDeleted() event.Event {
	b := h.box(nil)
	if b == nil {
		return nil
	}
	return &event.MailboxDeleted{Account: b.Account, Mailbox: b.ID, Modseq: h.modseq(h.accountOf(b))}
}

func (h *History) subscriptionSet() event.Event {
	a := h.account()
	if a == nil {
		return nil
	}
	name := h.name()
	return &event.SubscriptionSet{Account: a.Name, Name: name, Subscribed: h.rnd.IntN(3) > 0, Modseq: h.modseq(a)}
}

func (h *History) specialUseSet() event.Event {
	b := h.box(nil)
	if b == nil {
		return nil
	}
	return &event.SpecialUseSet{Account: b.Account, Mailbox: b.ID, SpecialUse: h.uses(), Modseq: h.modseq(h.accountOf(b))}
}

func (h *History) recentTaken() event.Event {
	b := h.box(nil)
	if b == nil || b.UIDNext == 1 {
		return nil
	}
	low := max(b.Recent, 1)
	return &event.RecentTaken{Account: b.Account, Mailbox: b.ID, UID: low + uint32(h.rnd.IntN(int(b.UIDNext-low)))}
}

// bodyChunk goes on with an upload, begins a new one, or begins again one that was interrupted.
func (h *History) bodyChunk() event.Event {
	begun := slices.SortedFunc(maps.Keys(h.pending), func(a, b event.GUID) int { return strings.Compare(string(a[:]), string(b[:])) })
	switch h.rnd.IntN(8) {
	case 0, 1, 2, 3:
		if len(begun) > 0 {
			return h.nextChunk(pick(h.rnd, begun))
		}
	case 4:
		if len(begun) > 0 {
			return h.upload(h.raws[pick(h.rnd, begun)])
		}
	case 5: // a body that is known already comes again
		if known := h.bodies(); len(known) > 0 && h.rnd.IntN(3) == 0 {
			return h.upload(h.raws[pick(h.rnd, known)])
		}
	}
	return h.upload(h.newRaw())
}

// newRaw makes a body that compresses somewhat.
func (h *History) newRaw() []byte {
	if h.rnd.IntN(20) == 0 {
		return []byte{}
	}
	raw := make([]byte, 1+h.rnd.IntN(h.BodyBytes))
	rnd := rand.New(rand.NewPCG(uint64(h.count), uint64(len(raw))))
	for i := range raw {
		raw[i] = "abcdefgh"[rnd.IntN(8)]
	}
	return raw
}

// upload cuts a body into chunks and gives the first.
func (h *History) upload(raw []byte) event.Event {
	guid := event.GUID(sha256.Sum256(raw))
	h.raws[guid] = raw
	enc, stored, err := h.codec.Encode(codec.Policy(h.rnd.IntN(3)), raw)
	if err != nil {
		panic(err) // encoding does not fail
	}
	var chunks []*event.BodyChunk
	for off := 0; ; {
		end := len(stored)
		if h.rnd.IntN(3) == 0 && end-off > 1 {
			end = off + 1 + h.rnd.IntN(end-off-1)
		}
		c := &event.BodyChunk{
			GUID: guid, Size: uint64(len(raw)), Encoding: enc, Stored: uint64(len(stored)), Offset: uint64(off), Data: stored[off:end],
		}
		chunks = append(chunks, c)
		if off = end; off == len(stored) {
			c.Structure = binary.BigEndian.AppendUint32([]byte("structure "), uint32(len(raw)))
			break
		}
	}
	if h.Model.Bodies[guid] != nil { // nothing waits for the rest: whoever sends it may stop at any time
		return chunks[0]
	}
	h.pending[guid] = chunks
	return h.nextChunk(guid)
}

func (h *History) nextChunk(guid event.GUID) event.Event {
	c := h.pending[guid][0]
	if h.pending[guid] = h.pending[guid][1:]; len(h.pending[guid]) == 0 {
		delete(h.pending, guid)
	}
	return c
}

// bodies lists the bodies that messages can refer to.
func (h *History) bodies() []event.GUID {
	return slices.SortedFunc(maps.Keys(h.Model.Bodies), func(a, b event.GUID) int { return strings.Compare(string(a[:]), string(b[:])) })
}

// flagNames picks flags, some of them in another spelling than before.
func (h *History) flagNames() []string {
	var names []string
	for _, f := range []string{`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`, "Work", "work", "$Junk", "Ä-1", "$MDNSent"} {
		if h.rnd.IntN(4) == 0 {
			names = append(names, f)
		}
	}
	if h.rnd.IntN(3) == 0 { // many keywords, so that the second word of the bits is used
		names = append(names, fmt.Sprintf("k%d", h.rnd.IntN(100)))
	}
	return names
}

func (h *History) messagesAppended() event.Event {
	b, known := h.box(nil), h.bodies()
	if b == nil || len(known) == 0 || len(b.Keywords) > 110 {
		return nil
	}
	e := &event.MessagesAppended{Account: b.Account, Mailbox: b.ID, Modseq: h.modseq(h.accountOf(b))}
	uid := b.FirstUID()
	for range 1 + h.rnd.IntN(4) {
		uid += uint32([]int{0, 0, 0, 0, 0, 1, 150}[h.rnd.IntN(7)])
		e.Messages = append(e.Messages, event.Message{
			UID: uid, GUID: pick(h.rnd, known), InternalDate: int64(h.rnd.IntN(2000000000) - 1000), SaveDate: 1709208000 + h.count, Flags: h.flagNames(),
		})
		uid++
	}
	switch h.count % 9 {
	case 0:
		e.UIDNext = uid + uint32(h.count%200)
	case 1:
		e.Messages, e.UIDNext = nil, b.UIDNext+uint32(h.count%3)
	}
	return e
}

// some picks messages of a mailbox; empty when it has none.
func (h *History) some(b *Mailbox) event.UIDSet {
	if b == nil || len(b.Messages) == 0 {
		return nil
	}
	var set event.UIDSet
	often := 1 + h.rnd.IntN(5)
	for _, m := range b.Messages {
		if h.rnd.IntN(5) < often {
			set = set.Add(m.UID)
		}
	}
	return set
}

func (h *History) messagesCopied() event.Event {
	source, dest := h.box(nil), h.box(nil)
	if h.rnd.IntN(4) == 0 {
		dest = source
	}
	uids := h.some(source)
	if len(uids) == 0 || len(source.Messages) > 200 || len(dest.Keywords)+len(source.Keywords) > 120 {
		return nil
	}
	return &event.MessagesCopied{
		Account: dest.Account, Source: source.ID, SourceUIDs: uids, Dest: dest.ID, FirstUID: dest.FirstUID() + uint32(h.rnd.IntN(4)/3),
		Modseq: h.modseq(h.accountOf(dest)), SaveDate: 1709208000 + h.count,
	}
}

func (h *History) messagesMoved() event.Event {
	source := h.box(nil)
	uids := h.some(source)
	if len(uids) == 0 {
		return nil
	}
	dest := h.box(h.accountOf(source))
	if dest == source || len(dest.Keywords)+len(source.Keywords) > 120 {
		return nil
	}
	return &event.MessagesMoved{
		Account: dest.Account, Source: source.ID, SourceUIDs: uids, Dest: dest.ID, FirstUID: dest.FirstUID() + uint32(h.rnd.IntN(4)/3),
		Modseq: h.modseq(h.accountOf(dest)), SaveDate: 1709208000 + h.count,
	}
}

// flagsChanged changes each message at most once, and only truly.
func (h *History) flagsChanged() event.Event {
	b := h.box(nil)
	if b == nil || len(b.Keywords) > 110 {
		return nil
	}
	e := &event.FlagsChanged{Account: b.Account, Mailbox: b.ID, Modseq: h.modseq(h.accountOf(b))}
	uids := h.some(b)
	for _, m := range b.Messages {
		if !has(uids, m.UID) {
			continue
		}
		c := event.FlagChange{UIDs: event.UIDsOf(m.UID)}
		for _, f := range h.flagNames() {
			have := false
			for known := range m.Flags {
				have = have || strings.EqualFold(known, f)
			}
			if !have {
				c.Add = append(c.Add, f)
			} else if !slices.ContainsFunc(c.Remove, func(o string) bool { return strings.EqualFold(o, f) }) {
				c.Remove = append(c.Remove, f)
			}
		}
		if len(c.Add)+len(c.Remove) > 0 {
			e.Changes = append(e.Changes, c)
		}
	}
	if len(e.Changes) == 0 {
		return nil
	}
	return e
}

func (h *History) messagesExpunged() event.Event {
	b := h.box(nil)
	uids := h.some(b)
	if len(uids) == 0 {
		return nil
	}
	return &event.MessagesExpunged{Account: b.Account, Mailbox: b.ID, Modseq: h.modseq(h.accountOf(b)), UIDs: uids}
}
