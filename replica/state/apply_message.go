package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog/event"
)

// bodyChunk stores a piece of a body. A body that is known already is left alone: two deliveries of one body may both have
// sent it. A chunk at offset 0 starts over what an interrupted upload left.
func (w *work) bodyChunk(e *event.BodyChunk) error {
	known, err := w.body(e.GUID)
	if known != nil || err != nil {
		return err
	}
	partial := &Body{Size: e.Size, Encoding: e.Encoding, Stored: e.Stored}
	partialKey := keyBody(tablePartial, e.GUID)
	if e.Offset > 0 {
		partial, err = getRow[Body](w.tx, partialKey)
		if err != nil {
			return err
		}
		if partial == nil || partial.Received != e.Offset || partial.Stored != e.Stored || partial.Size != e.Size || partial.Encoding != e.Encoding {
			return fmt.Errorf("%w: chunk at %d of body %s does not continue what is there", ErrDiverged, e.Offset, e.GUID)
		}
	}
	if len(e.Data) > 0 {
		ext, err := w.tx.AppendBody(e.GUID, e.Data)
		if err != nil {
			return err
		}
		partial.Extents = append(partial.Extents, ext)
	}
	partial.Received += uint64(len(e.Data))
	if partial.Received < partial.Stored {
		return w.set(partialKey, partial)
	}
	if e.Offset > 0 {
		if err := w.tx.Delete(partialKey); err != nil {
			return err
		}
	}
	partial.Received, partial.Structure = 0, e.Structure
	w.bodies[e.GUID] = partial
	return w.set(keyBody(tableBody, e.GUID), partial)
}

// bodiesDropped forgets bodies that no message refers to, which is for the primary to see to: nothing here says who refers to a body.
func (w *work) bodiesDropped(e *event.BodiesDropped) error {
	for _, guid := range e.GUIDs {
		known, err := w.body(guid)
		if err != nil {
			return err
		}
		partialKey := keyBody(tablePartial, guid)
		partial, err := w.tx.Get(partialKey)
		if err != nil {
			return err
		}
		if known == nil && partial == nil {
			return fmt.Errorf("%w: body %s is dropped, and was not there", ErrDiverged, guid)
		}
		w.bodies[guid] = nil
		if err := errors.Join(w.tx.Delete(keyBody(tableBody, guid)), w.tx.Delete(partialKey)); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) messagesAppended(e *event.MessagesAppended) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	b.row.HighestModseq = e.Modseq
	for i := range e.Messages {
		m := &e.Messages[i]
		body, err := w.body(m.GUID)
		if err != nil {
			return err
		}
		if body == nil {
			return fmt.Errorf("%w: message %d of mailbox %s has unknown body %s", ErrDiverged, m.UID, e.Mailbox, m.GUID)
		}
		flags, err := b.row.bitsFor(m.Flags)
		if err != nil {
			return err
		}
		msg := Message{UID: m.UID, GUID: m.GUID, Size: body.Size, InternalDate: m.InternalDate, SaveDate: m.SaveDate, Structure: body.Structure}
		if err := w.add(b, &msg, flags); err != nil {
			return err
		}
	}
	if e.UIDNext > 0 && e.UIDNext < b.row.UIDNext {
		return fmt.Errorf("%w: UIDNEXT %d of mailbox %s, which is %d", ErrDiverged, e.UIDNext, e.Mailbox, b.row.UIDNext)
	}
	b.row.UIDNext = max(b.row.UIDNext, e.UIDNext)
	if b.row.UIDFloor <= b.row.UIDNext {
		b.row.UIDFloor = 0
	}
	return nil
}

// add puts a message at the end of a mailbox.
func (w *work) add(b *touch, m *Message, flags Flags) error {
	if m.UID < b.row.FirstUID() || m.UID == 1<<32-1 {
		return fmt.Errorf("%w: UID %d in mailbox %s, where the next is %d", ErrDiverged, m.UID, b.row.ID, b.row.FirstUID())
	}
	b.row.UIDNext, b.row.UIDFloor = m.UID+1, 0
	l := Live{UID: m.UID, Modseq: b.row.HighestModseq, Flags: flags}
	p, err := w.page(b.box, PageOf(m.UID))
	if err != nil {
		return err
	}
	p.live, p.dirty = append(p.live, l), true
	b.row.Digest ^= digestFixed(m) ^ digestLive(l)
	w.count(b.box, l, m.Size, 1)
	b.change.Appended = append(b.change.Appended, l)
	return w.tx.Set(keyOf(tableMessage, b.row.ID, m.UID), encodeMessage(nil, m))
}

func (w *work) messagesCopied(e *event.MessagesCopied) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	dest, err := w.openBox(e.Dest)
	if err != nil {
		return err
	}
	source, err := w.keptBox(e.Source)
	if err != nil {
		return err
	}
	if source == nil {
		return fmt.Errorf("%w: no mailbox %s to copy from", ErrDiverged, e.Source)
	}
	dest.row.HighestModseq = e.Modseq
	return w.copyMessages(source, dest, e.SourceUIDs, e.FirstUID, e.SaveDate)
}

// copyMessages adds copies of the source's messages to dest, with the flags they have now.
func (w *work) copyMessages(source *box, dest *touch, uids event.UIDSet, first uint32, saveDate int64) error {
	// Checked beforehand, or copies within a mailbox could be copied in their turn, up to four billion times.
	if n := len(uids); n > 0 && uids[n-1].Last >= source.row.UIDNext {
		return fmt.Errorf("%w: mailbox %s has no message %d", ErrDiverged, source.row.ID, uids[n-1].Last)
	}
	next := first
	for uid := range uids.All() {
		p, k, err := w.find(source, uid)
		if err != nil {
			return err
		}
		l := p.live[k]
		m, ok, err := GetMessage(w.tx, source.row.ID, uid)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: mailbox %s has no record of message %d", ErrDiverged, source.row.ID, uid)
		}
		flags, err := dest.row.bitsFor(l.Flags.Names(source.row.Keywords))
		if err != nil {
			return err
		}
		m.UID, m.SaveDate = next, saveDate
		if err := w.add(dest, &m, flags); err != nil {
			return err
		}
		next++
	}
	return nil
}

// find finds a live message that must be there: its page, and its place in it.
func (w *work) find(b *box, uid uint32) (*keptPage, int, error) {
	p, err := w.page(b, PageOf(uid))
	if err != nil {
		return nil, 0, err
	}
	k, ok := p.live.Find(uid)
	if !ok {
		return nil, 0, fmt.Errorf("%w: mailbox %s has no message %d", ErrDiverged, b.row.ID, uid)
	}
	return p, k, nil
}

func (w *work) messagesMoved(e *event.MessagesMoved) error {
	if e.Source == e.Dest {
		return fmt.Errorf("%w: move within mailbox %s", ErrDiverged, e.Source)
	}
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	source, err := w.openBox(e.Source)
	if err != nil {
		return err
	}
	dest, err := w.openBox(e.Dest)
	if err != nil {
		return err
	}
	source.row.HighestModseq, dest.row.HighestModseq = e.Modseq, e.Modseq
	if err := w.copyMessages(source.box, dest, e.SourceUIDs, e.FirstUID, e.SaveDate); err != nil {
		return err
	}
	return w.expunge(source, e.SourceUIDs)
}

func (w *work) messagesExpunged(e *event.MessagesExpunged) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	b.row.HighestModseq = e.Modseq
	return w.expunge(b, e.UIDs)
}

// expunge takes messages out of a mailbox and leaves tombstones. The bodies stay.
func (w *work) expunge(b *touch, uids event.UIDSet) error {
	for uid := range uids.All() {
		p, k, err := w.find(b.box, uid)
		if err != nil {
			return err
		}
		l := p.live[k]
		m, ok, err := GetMessage(w.tx, b.row.ID, uid)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: mailbox %s has no record of message %d", ErrDiverged, b.row.ID, uid)
		}
		p.live, p.dirty = append(p.live[:k], p.live[k+1:]...), true
		b.row.Digest ^= digestFixed(&m) ^ digestLive(l)
		w.count(b.box, l, m.Size, -1)
		if err := w.tx.Delete(keyOf(tableMessage, b.row.ID, uid)); err != nil {
			return err
		}
	}
	b.change.Expunged = uids
	return nil
}

func (w *work) flagsChanged(e *event.FlagsChanged) error {
	if err := w.openAt(e.Account, e.Modseq); err != nil {
		return err
	}
	b, err := w.openBox(e.Mailbox)
	if err != nil {
		return err
	}
	b.row.HighestModseq = e.Modseq
	for _, c := range e.Changes {
		add, err := b.row.bitsFor(c.Add)
		if err != nil {
			return err
		}
		remove, err := b.row.bitsFor(c.Remove)
		if err != nil {
			return err
		}
		if err := w.flag(b, c.UIDs, add, remove); err != nil {
			return err
		}
	}
	sortByUID(b.change.Flagged)
	return nil
}

func (w *work) flag(b *touch, uids event.UIDSet, add, remove Flags) error {
	for uid := range uids.All() {
		p, k, err := w.find(b.box, uid)
		if err != nil {
			return err
		}
		was := p.live[k]
		if was.Modseq == b.row.HighestModseq {
			return fmt.Errorf("%w: message %d of mailbox %s is changed twice in one event", ErrDiverged, uid, b.row.ID)
		}
		is := Live{UID: uid, Modseq: b.row.HighestModseq, Flags: was.Flags.AndNot(remove).Or(add)}
		p.live[k], p.dirty = is, true
		b.row.Digest ^= digestLive(was) ^ digestLive(is)
		w.count(b.box, was, 0, -1)
		w.count(b.box, is, 0, 1)
		b.change.Flagged = append(b.change.Flagged, is)
	}
	return nil
}

func sortByUID(list []Live) {
	slices.SortFunc(list, func(a, b Live) int { return cmp.Compare(a.UID, b.UID) })
}
