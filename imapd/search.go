package imapd

import (
	"context"

	"angarium/imapd/wire"
	"angarium/replica/state"
)

// handleSearch carries out SEARCH (RFC 9051, section 6.4.4).
func handleSearch(s *session, ctx context.Context) (reply, error) { return s.search(ctx, false) }

func (s *session) search(ctx context.Context, byUID bool) (reply, error) {
	req, err := s.parseSearch()
	if err != nil {
		return reply{}, err
	}
	if req.modseq {
		s.enableCondstore()
	}
	if err := s.catchUp(ctx, byUID); err != nil {
		return reply{}, err
	}
	env := &searchEnv{s: s, keywords: s.box.keywords, now: s.srv.opts.Now()}
	if err := req.key.prepare(env); err != nil {
		return reply{}, err
	}
	hits, err := s.findMessages(ctx, req.key)
	if err != nil {
		if req.save { // RFC 5182, section 2.1
			s.saved = wire.NumSet{}
		}
		return reply{}, err
	}
	s.writeFound(req, hits, byUID)
	return reply{"", "SEARCH completed"}, nil
}

// hit is a message of the view that is found or, while doubt is set, may be.
type hit struct {
	seq   int
	live  state.Live
	doubt bool
}

// findMessages gives the messages that match, in order. It looks at as little as it can: at what the view knows of each
// message; then, for those still in doubt, at the record and the cached header fields; at last at the body.
func (s *session) findMessages(ctx context.Context, key *searchKey) ([]hit, error) {
	var hits []hit
	doubts := 0
	m := candidate{level: costView}
	for seq, live := range s.box.told.All() {
		m.live = live
		v, err := key.eval(&m)
		if err != nil {
			return nil, err
		}
		if v != no {
			hits = append(hits, hit{seq, live, v == unknown})
		}
		if v == unknown {
			doubts++
		}
	}
	if doubts == 0 {
		return hits, nil
	}
	return s.settleDoubts(ctx, key, hits)
}

// settleDoubts looks at the messages that are in doubt and leaves the others as they are.
func (s *session) settleDoubts(ctx context.Context, key *searchKey, hits []hit) ([]hit, error) {
	l := &rowLoader{b: s.box, records: true, structures: key.cost >= costStructure}
	doubtful := func(yield func(int, state.Live) bool) {
		for _, h := range hits {
			if h.doubt && !yield(h.seq, h.live) {
				return
			}
		}
	}
	kept, next := 0, 0
	keep := func(upTo int) { // the hits before the one with this sequence number
		for ; next < len(hits) && hits[next].seq < upTo; next++ {
			if !hits[next].doubt {
				kept += copy(hits[kept:], hits[next:next+1])
			}
		}
	}
	err := l.each(ctx, doubtful, func(row *fetchRow) error {
		found, err := s.matches(key, row)
		if err != nil || !found {
			return err
		}
		keep(row.seq)
		hits[next].doubt = false
		keep(row.seq + 1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	keep(s.box.told.Len() + 1)
	return hits[:kept], nil
}

// matches decides on one message. One that was expunged meanwhile does not match, nor does one that cannot be read.
func (s *session) matches(key *searchKey, row *fetchRow) (bool, error) {
	if !row.found {
		return false, nil
	}
	m := candidate{live: row.live, content: content{b: s.box, row: row}}
	for m.level = costRecord; m.level <= costBody; m.level++ {
		v, err := key.eval(&m)
		if isDamaged(err) {
			s.log.Warn("message cannot be searched", "mailbox", s.box.mb.ID().String(), "uid", row.live.UID, "error", err)
			return false, nil
		}
		if err != nil || v != unknown {
			return v == yes, err
		}
	}
	return false, nil
}

// writeFound sends the result: SEARCH, or ESEARCH if the client asked for it or uses IMAP4rev2 (RFC 4731).
func (s *session) writeFound(req *searchRequest, hits []hit, byUID bool) {
	if req.save {
		s.saved = req.toSave(hits)
	}
	switch {
	case req.extended && !req.min && !req.max && !req.all && !req.count: // SAVE alone
	case req.extended || s.rev2:
		s.writeESearch(req, hits, byUID)
	default:
		s.enc.Raw("* SEARCH")
		for i := range hits {
			s.enc.SP().Number(hits[i].number(byUID))
		}
		if req.modseq && len(hits) > 0 {
			s.enc.Raw(" (MODSEQ ").Number(req.modseqOf(hits)).Byte(')')
		}
		s.enc.CRLF()
	}
}

func (s *session) writeESearch(req *searchRequest, hits []hit, byUID bool) {
	s.enc.Raw("* ESEARCH (TAG ").String(s.tag).Byte(')')
	if byUID {
		s.enc.Raw(" UID")
	}
	if len(hits) > 0 {
		if req.min {
			s.enc.Raw(" MIN ").Number(hits[0].number(byUID))
		}
		if req.max {
			s.enc.Raw(" MAX ").Number(hits[len(hits)-1].number(byUID))
		}
		if req.all {
			s.enc.Raw(" ALL ").NumSet(numbers(hits, byUID))
		}
	}
	if req.count {
		s.enc.Raw(" COUNT ").Number(uint64(len(hits)))
	}
	if req.modseq && len(hits) > 0 {
		s.enc.Raw(" MODSEQ ").Number(req.modseqOf(hits))
	}
	s.enc.CRLF()
}

func (h *hit) number(byUID bool) uint64 {
	if byUID {
		return uint64(h.live.UID)
	}
	return uint64(h.seq)
}

func numbers(hits []hit, byUID bool) wire.NumSet {
	var set wire.NumSet
	for i := range hits {
		n := uint32(hits[i].number(byUID))
		set.Add(n, n)
	}
	return set
}

// told gives the hits that the result tells of: with MIN or MAX and neither ALL nor COUNT only the first or the last.
func (req *searchRequest) told(hits []hit) []hit {
	if len(hits) == 0 || req.all || req.count || !req.min && !req.max {
		return hits
	}
	var ends []hit
	if req.min {
		ends = append(ends, hits[0])
	}
	if req.max {
		ends = append(ends, hits[len(hits)-1])
	}
	return ends
}

// toSave gives the UIDs that $ stands for afterwards (RFC 5182, section 2.4).
func (req *searchRequest) toSave(hits []hit) wire.NumSet { return numbers(req.told(hits), true) }

// modseqOf gives the highest modseq of what the result tells of (RFC 7162, section 3.1.10).
func (req *searchRequest) modseqOf(hits []hit) uint64 {
	highest := uint64(0)
	for _, h := range req.told(hits) {
		highest = max(highest, h.live.Modseq)
	}
	return highest
}
