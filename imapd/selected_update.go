package imapd

import (
	"context"

	"angarium/eventlog/event"
	"angarium/replica"
	"angarium/replica/state"
	"angarium/replica/view"
)

// writeUpdates tells the client what happened to the selected mailbox since it was told last: EXPUNGE or VANISHED if
// allowed now, EXISTS and RECENT, FETCH of flags. Without a mailbox it does nothing.
func (s *session) writeUpdates(_ context.Context, allowExpunge bool) error {
	b := s.box
	if b == nil {
		return nil
	}
	snap := b.mb.Snapshot()
	if snap.Deleted {
		s.bye("", "The selected mailbox was deleted")
		return errMailboxDeleted
	}
	if snap == b.snap && !(b.pending && allowExpunge) {
		return nil
	}
	d := view.Diff(b.told, snap.List)
	flags := b.sameFlags(d.Changed)
	switch {
	case len(d.Expunged) == 0:
		b.told, b.pending = snap.List, false
	case allowExpunge:
		s.writeExpunged(d.Expunged)
		b.told, b.pending = snap.List, false
	default: // what was expunged keeps its place
		b.told, b.pending = b.told.Set(d.Changed...).Append(d.Appended...), true
	}
	b.snap = snap
	s.tellKeywords(snap)
	if len(d.Appended) > 0 {
		s.writeExists(snap)
	}
	for i, live := range d.Changed {
		if s.condstore || !flags[i] {
			seq, _ := b.told.Seq(live.UID)
			s.writeFlagUpdate(seq, live, s.rev2 || s.qresync)
		}
	}
	return s.enc.Err()
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
