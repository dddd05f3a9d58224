package imapd

import (
	"context"
	"errors"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
	"angarium/mailstore"
	"angarium/replica/state"
)

// handleFetch carries out FETCH (RFC 9051, section 6.4.5).
func handleFetch(s *session, ctx context.Context) (reply, error) { return s.fetch(ctx, false) }

func (s *session) fetch(ctx context.Context, byUID bool) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	set, err := s.r.NumSet()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	req, err := s.parseFetch(byUID)
	if err != nil {
		return reply{}, err
	}
	if req.condstoreAware {
		s.enableCondstore()
	}
	if err := s.catchUp(ctx, byUID); err != nil {
		return reply{}, err
	}
	uids, err := s.resolve(set, byUID)
	if err != nil {
		return reply{}, err
	}
	if req.vanished {
		gone, err := s.box.vanished(req.changedSince, s.spanOf(set), 0)
		if err != nil {
			return reply{}, err
		}
		s.writeVanishedEarlier(gone)
	}
	if req.hasChangedSince {
		knows, err := s.box.mb.Knows(req.changedSince)
		if err != nil {
			return reply{}, err
		}
		if knows {
			uids = s.box.changedSince(uids, req.changedSince)
		}
	}
	return s.fetchMessages(ctx, uids, req)
}

// fetchMessages sends the responses. \Seen is set beforehand for all messages at once, so that the responses show it.
func (s *session) fetchMessages(ctx context.Context, uids event.UIDSet, req *fetchRequest) (reply, error) {
	w := &fetchWriter{s: s, b: s.box, req: req}
	if req.seen && !s.box.mb.ReadOnly {
		if err := s.markSeen(ctx, w, uids); err != nil {
			return reply{}, err
		}
	}
	l := &rowLoader{b: s.box, records: req.needsRecord(), structures: req.needsStructure()}
	err := l.each(ctx, s.box.among(uids), func(row *fetchRow) error {
		w.message(row)
		return s.enc.Err()
	})
	if err != nil {
		return reply{}, err
	}
	w.settle()
	switch {
	case w.damaged != nil:
		return reply{}, w.damaged
	case w.unknownEncoding:
		return reply{}, s.no("UNKNOWN-CTE", "A part has an unknown transfer encoding")
	case w.missing: // the others were sent; NO would have some clients throw them away (RFC 2180, section 4.1)
		return reply{"EXPUNGEISSUED", "FETCH completed; some of the messages no longer exist"}, nil
	}
	return reply{"", "FETCH completed"}, nil
}

// markSeen sets \Seen on the messages that do not have it. A store that cannot be written to can still be read.
func (s *session) markSeen(ctx context.Context, w *fetchWriter, uids event.UIDSet) error {
	var unseen event.UIDSet
	for _, live := range s.box.among(uids) {
		if !live.Flags.Has(state.Seen) {
			unseen = unseen.Add(live.UID)
		}
	}
	if len(unseen) == 0 {
		return nil
	}
	res, err := s.box.mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: unseen, Op: mailstore.AddFlags, Flags: []string{`\Seen`}})
	if errors.Is(err, mailstore.ErrUnavailable) {
		s.log.Warn("set \\Seen", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	snap := s.box.mb.Snapshot()
	s.tellKeywords(snap)
	w.changed, w.newest = res.Changed, snap.List
	return nil
}

// changedSince gives the messages of uids whose modseq is above since.
func (b *selected) changedSince(uids event.UIDSet, since uint64) event.UIDSet {
	var changed event.UIDSet
	for _, live := range b.among(uids) {
		if live.Modseq > since {
			changed = changed.Add(live.UID)
		}
	}
	return changed
}

// spanOf gives the UIDs of a set, with n:* as all from n on: what VANISHED is asked for may lie above the last message.
func (s *session) spanOf(set wire.NumSet) event.UIDSet {
	uids := uidsOf(set)
	if from, ok := set.Star(); ok {
		uids = unionUIDs(uids, event.UIDSet{{First: from, Last: lastUID}})
	}
	if set.Saved() {
		uids = unionUIDs(uids, uidsOf(s.saved))
	}
	return uids
}
