package imapd

import (
	"iter"

	"angarium/eventlog/event"
	"angarium/replica"
)

// qresyncRequest is what a client knows of a mailbox (RFC 7162, section 3.2.5).
type qresyncRequest struct {
	uidValidity uint32
	modseq      uint64
	known       event.UIDSet // all when the client does not say
	seqs, uids  event.UIDSet // seq-match-data: the n-th number of seqs was that of the n-th UID of uids
}

// parseQresync parses the parameter behind QRESYNC: SP "(" uidvalidity SP modseq [SP known-uids] [SP seq-match-data] ")".
func (s *session) parseQresync() (*qresyncRequest, error) {
	q := &qresyncRequest{known: allUIDs()}
	field := 0
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	err := s.r.List(func() error {
		field++
		c, err := s.r.Peek()
		switch {
		case err != nil:
			return err
		case field == 1:
			q.uidValidity, err = s.r.NzNumber()
		case field == 2:
			q.modseq, err = s.r.NzNumber64()
		case field == 3 && c != '(':
			q.known, err = s.plainSet()
		case field <= 4 && c == '(' && q.seqs == nil:
			err = s.parseSeqMatch(q)
		default:
			err = s.bad("Invalid parameter of QRESYNC")
		}
		return err
	})
	if err == nil && field < 2 {
		err = s.bad("QRESYNC needs UIDVALIDITY and a modseq")
	}
	return q, err
}

func (s *session) parseSeqMatch(q *qresyncRequest) (err error) {
	if err = s.r.OpenParen(); err != nil {
		return err
	}
	if q.seqs, err = s.plainSet(); err != nil {
		return err
	}
	if err = s.r.SP(); err != nil {
		return err
	}
	if q.uids, err = s.plainSet(); err != nil {
		return err
	}
	return s.r.CloseParen()
}

// plainSet parses a set without "*" and "$".
func (s *session) plainSet() (event.UIDSet, error) {
	set, err := s.r.NumSet()
	if err != nil {
		return nil, err
	}
	if _, star := set.Star(); star || set.Saved() {
		return nil, s.bad("* and $ are not allowed here")
	}
	return uidsOf(set), nil
}

// resync tells what a client that knew the mailbox at some modseq has missed: what is gone as VANISHED (EARLIER), what came or
// changed its flags as FETCH. When UIDVALIDITY is another one it tells nothing (RFC 7162, section 3.2.5.1).
func (s *session) resync(snap *replica.Snapshot, q *qresyncRequest) error {
	b := s.box
	if q.uidValidity != snap.Mailbox.UIDValidity {
		return nil
	}
	knows, err := b.mb.Knows(q.modseq)
	if err != nil {
		return err
	}
	since, known, matched := q.modseq, q.known, b.matchedUID(q)
	if !knows { // it has seen a future that was lost: nothing that it knows can be relied on
		since, known, matched = 0, event.UIDSet{{First: 1, Last: lastUID}}, 0
	}
	gone, err := b.vanished(q.modseq, known, matched)
	if err != nil {
		return err
	}
	s.writeVanishedEarlier(gone)
	for seq, live := range b.told.All() {
		if live.Modseq > since && known.Contains(live.UID) {
			s.writeFlagUpdate(seq, live, true)
		}
	}
	return s.enc.Err()
}

func (s *session) writeVanishedEarlier(gone event.UIDSet) {
	if len(gone) > 0 {
		s.enc.Raw("* VANISHED (EARLIER) ")
		s.writeUIDs(gone)
		s.enc.CRLF()
	}
}

// vanished gives the UIDs of known that were expunged after a modseq. When the mailbox does not remember that far back, it is
// all that are not there, but for those up to matched, about which the client is up to date (RFC 7162, section 3.2.5.2).
func (b *selected) vanished(since uint64, known event.UIDSet, matched uint32) (event.UIDSet, error) {
	given, err := b.mb.LastGiven()
	if err != nil {
		return nil, err
	}
	known = intersectUIDs(known, event.UIDSet{{First: 1, Last: max(given, 1)}})
	var ranges []event.UIDRange
	complete, err := b.mb.Vanished(since, func(u event.UIDSet) (bool, error) {
		ranges = append(ranges, u...)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	if !complete {
		if matched == lastUID {
			return nil, nil
		}
		return b.without(intersectUIDs(known, event.UIDSet{{First: matched + 1, Last: lastUID}})), nil
	}
	gone := intersectUIDs(known, mergeUIDs(ranges))
	if b.withheld&messageExpunge != 0 || b.mb.Snapshot() != b.snap {
		gone = b.without(gone) // what was expunged since is told by EXPUNGE or VANISHED, which change the numbering
	}
	return gone, nil
}

// matchedUID gives the highest UID of the seq-match-data that has the sequence number the client thinks it has. As the client
// holds no fewer messages than there are, it knows then what became of all messages up to there.
func (b *selected) matchedUID(q *qresyncRequest) uint32 {
	matched := uint32(0)
	if q.seqs.Len() != q.uids.Len() {
		return 0
	}
	next, stop := iter.Pull(q.uids.All())
	defer stop()
	for seq := range q.seqs.All() {
		uid, _ := next()
		if int64(seq) > int64(b.told.Len()) {
			break
		}
		if b.told.At(int(seq)).UID == uid {
			matched = uid
		}
	}
	return matched
}
