package imapd

import (
	"context"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
	"angarium/replica/view"
)

// writeUpdates tells the client what happened to the selected mailbox since it was told last, as far as it wants to know: EXPUNGE or
// VANISHED if allowed now, EXISTS and RECENT, FETCH of flags. Without a mailbox it does nothing.
func (s *session) writeUpdates(ctx context.Context, allowExpunge bool) error {
	tell := s.wanted()
	if !allowExpunge {
		tell &^= messageExpunge
	}
	return s.writeChanges(ctx, tell)
}

// writeChanges tells what is in tell of what happened to the selected mailbox; the rest is withheld.
func (s *session) writeChanges(ctx context.Context, tell notifyEvents) error {
	b := s.box
	if b == nil {
		return nil
	}
	snap := b.mb.Snapshot()
	if snap.Deleted {
		s.bye("", "The selected mailbox was deleted")
		return errMailboxDeleted
	}
	if tell == 0 || snap == b.snap && b.withheld&tell == 0 {
		return nil
	}
	d := view.Diff(b.told, snap.List)
	flags := b.sameFlags(d.Changed)
	if tell&messageExpunge != 0 {
		s.writeExpunged(d.Expunged)
	}
	b.advance(&d, snap, tell)
	if tell&(messageNew|flagChange) == 0 {
		return s.enc.Err()
	}
	s.tellKeywords(snap)
	if tell&messageNew != 0 && len(d.Appended) > 0 {
		s.writeExists(snap)
		if s.fetchesNew() {
			s.fetchNew(ctx, event.UIDSet{{First: d.Appended[0].UID, Last: lastUID}})
		}
	}
	if tell&flagChange == 0 {
		return s.enc.Err()
	}
	for i, live := range d.Changed {
		if s.condstore || !flags[i] {
			seq, _ := b.told.Seq(live.UID)
			s.writeFlagUpdate(seq, live, s.rev2 || s.qresync || s.notify != nil)
		}
	}
	return s.enc.Err()
}

// advance brings the client's view up to a snapshot, but for what is not told. What was expunged and is not told keeps its place.
func (b *selected) advance(d *view.Difference, snap *replica.Snapshot, tell notifyEvents) {
	b.snap, b.withheld = snap, 0
	for _, part := range [...]struct {
		event notifyEvents
		some  bool
	}{{messageExpunge, len(d.Expunged) > 0}, {flagChange, len(d.Changed) > 0}, {messageNew, len(d.Appended) > 0}} {
		if part.some && tell&part.event == 0 {
			b.withheld |= part.event
		}
	}
	if b.withheld == 0 {
		b.told = snap.List
		return
	}
	if tell&messageExpunge != 0 && len(d.Expunged) > 0 {
		b.told = b.told.Remove(d.Expunged)
	}
	if tell&flagChange != 0 && len(d.Changed) > 0 {
		b.told = b.told.Set(d.Changed...)
	}
	if tell&messageNew != 0 && len(d.Appended) > 0 {
		b.told = b.told.Append(d.Appended...)
	}
}

// sameFlags says of each changed message whether the client knows its flags already, so that only the modseq is new.
func (b *selected) sameFlags(changed []state.Live) []bool {
	same := make([]bool, len(changed))
	for i, live := range changed {
		old, _ := b.told.Get(live.UID)
		same[i] = old.Flags == live.Flags
	}
	return same
}

// writeExpunged tells of expunged messages of the client's view, which still holds them: from the last to the first, so
// that no number is shifted by one told before.
func (s *session) writeExpunged(uids event.UIDSet) {
	if len(uids) == 0 {
		return
	}
	if s.qresync { // RFC 7162, section 3.2.10
		s.enc.Raw("* VANISHED ")
		s.writeUIDs(uids)
		s.enc.CRLF()
		return
	}
	for i := len(uids) - 1; i >= 0; i-- {
		for uid := uids[i].Last; ; uid-- {
			if seq, ok := s.box.told.Seq(uid); ok {
				s.enc.Raw("* ").Number(uint64(seq)).Raw(" EXPUNGE\r\n")
			}
			if uid == uids[i].First {
				break
			}
		}
	}
}

func (s *session) writeUIDs(uids event.UIDSet) {
	for i, r := range uids {
		if i > 0 {
			s.enc.Byte(',')
		}
		s.enc.Number(uint64(r.First))
		if r.Last > r.First {
			s.enc.Byte(':').Number(uint64(r.Last))
		}
	}
}

// writeExists tells how many messages there are and, in IMAP4rev1, how many of them are \Recent (RFC 3501, section 7.3.2).
func (s *session) writeExists(snap *replica.Snapshot) {
	b := s.box
	s.enc.Raw("* ").Number(uint64(b.told.Len())).Raw(" EXISTS\r\n")
	if s.rev2 {
		return
	}
	if first := b.mb.TakeRecent(snap); first > 0 {
		b.recent = unionUIDs(b.recent, event.UIDSet{{First: first, Last: snap.List.LastUID()}})
	}
	s.enc.Raw("* ").Number(uint64(b.countUIDs(b.recent))).Raw(" RECENT\r\n")
}

// writeFlagUpdate sends the flags of a message, with its modseq if the client has enabled CONDSTORE.
func (s *session) writeFlagUpdate(seq int, live state.Live, withUID bool) {
	s.enc.Raw("* ").Number(uint64(seq)).Raw(" FETCH (")
	if withUID {
		s.enc.Raw("UID ").Number(uint64(live.UID)).SP()
	}
	s.enc.Raw("FLAGS ").Raw(s.box.flagText(live))
	if s.condstore {
		s.enc.Raw(" MODSEQ (").Number(live.Modseq).Byte(')')
	}
	s.enc.Raw(")\r\n")
}
