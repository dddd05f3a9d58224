package imapd

import (
	"context"
	"strings"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
	"angarium/mailstore"
	"angarium/replica/state"
	"angarium/replica/view"
)

// storeRequest is the arguments of STORE.
type storeRequest struct {
	set    wire.NumSet
	op     mailstore.FlagOp
	silent bool
	flags  []string
	since  *uint64 // UNCHANGEDSINCE
}

// handleStore carries out STORE (RFC 9051, section 6.4.6; RFC 7162, section 3.1.3).
func handleStore(s *session, ctx context.Context) (reply, error) { return s.store(ctx, false) }

func (s *session) store(ctx context.Context, byUID bool) (reply, error) {
	req, err := s.parseStore()
	if err != nil {
		return reply{}, err
	}
	if req.since != nil {
		s.enableCondstore()
	}
	if err := s.writable(); err != nil {
		return reply{}, err
	}
	known := s.box.told
	if err := s.catchUp(ctx, byUID); err != nil {
		return reply{}, err
	}
	uids, err := s.resolve(req.set, byUID)
	if err != nil {
		return reply{}, err
	}
	res, err := s.box.mb.StoreFlags(ctx, mailstore.FlagUpdate{UIDs: uids, Op: req.op, Flags: req.flags, UnchangedSince: req.since})
	if err != nil {
		return reply{}, err
	}
	missing := s.writeStored(uids, req, res, known, byUID)
	switch {
	case len(res.Modified) > 0:
		return reply{"MODIFIED " + s.numbersOf(res.Modified, byUID), "STORE completed, but for messages that have changed"}, nil
	case missing && !byUID: // what is there was changed (RFC 2180, section 4.2.2)
		return reply{}, s.no("EXPUNGEISSUED", "Some of the messages no longer exist")
	}
	return reply{"", "STORE completed"}, nil
}

func (s *session) parseStore() (req storeRequest, err error) {
	if err = s.r.SP(); err != nil {
		return req, err
	}
	if req.set, err = s.r.NumSet(); err != nil {
		return req, err
	}
	if err = s.r.SP(); err != nil {
		return req, err
	}
	c, err := s.r.Peek()
	if err != nil {
		return req, err
	}
	if c == '(' {
		if err = s.r.List(func() error { return s.parseStoreModifier(&req) }); err != nil {
			return req, err
		}
		if err = s.r.SP(); err != nil {
			return req, err
		}
	}
	name, err := s.r.Keyword()
	if err != nil {
		return req, err
	}
	name, req.silent = strings.CutSuffix(name, ".SILENT")
	switch name {
	case "FLAGS":
		req.op = mailstore.SetFlags
	case "+FLAGS":
		req.op = mailstore.AddFlags
	case "-FLAGS":
		req.op = mailstore.RemoveFlags
	default:
		return req, s.bad("Unknown data item of STORE")
	}
	if err = s.r.SP(); err != nil {
		return req, err
	}
	if req.flags, err = s.r.StoreFlags(); err != nil {
		return req, err
	}
	for _, f := range req.flags {
		if strings.EqualFold(f, `\Recent`) {
			return req, s.bad(`\Recent cannot be changed`)
		}
	}
	return req, s.r.CRLF()
}

func (s *session) parseStoreModifier(req *storeRequest) error {
	name, err := s.r.Keyword()
	if err != nil {
		return err
	}
	if name != "UNCHANGEDSINCE" {
		return s.bad("Unknown modifier of STORE")
	}
	if err := s.r.SP(); err != nil {
		return err
	}
	since, err := s.r.Number64()
	req.since = &since
	return err
}

// writeStored tells the flags of the messages that STORE was about, but for those it left alone, and says whether some were
// expunged meanwhile. With .SILENT the flags are told only of messages that somebody else has changed too since known, which is
// what the client knew when it sent the command; the modseq is told to a client that uses CONDSTORE in any case.
func (s *session) writeStored(uids event.UIDSet, req storeRequest, res mailstore.FlagResult, known view.List, byUID bool) (missing bool) {
	b := s.box
	snap := b.mb.Snapshot()
	s.tellKeywords(snap)
	want := flagSet(req.flags, b.keywords)
	withUID := byUID || s.rev2 || s.qresync
	var told []state.Live
	for seq, old := range b.among(uids) {
		live, ok := snap.List.Get(old.UID)
		switch {
		case !ok:
			missing = true
			continue
		case res.Modified.Contains(live.UID):
			continue
		case !req.silent || !expected(known, live, apply(req.op, old.Flags, want), old.Flags):
			s.writeFlagUpdate(seq, live, withUID)
		case s.condstore:
			s.writeModseq(seq, live, withUID)
		}
		if live != old {
			told = append(told, live)
		}
	}
	if len(told) > 0 {
		b.told = b.told.Set(told...)
	}
	return missing
}

// expected says whether a client that knew a message finds on it what its silent STORE makes of it, with or without what
// it was told while the command was under way.
func expected(known view.List, live state.Live, result, told state.Flags) bool {
	before, ok := known.Get(live.UID)
	return ok && before.Flags == told && live.Flags == result
}

func (s *session) writeModseq(seq int, live state.Live, withUID bool) {
	s.enc.Raw("* ").Number(uint64(seq)).Raw(" FETCH (")
	if withUID {
		s.enc.Raw("UID ").Number(uint64(live.UID)).SP()
	}
	s.enc.Raw("MODSEQ (").Number(live.Modseq).Raw("))\r\n")
}

// flagSet gives flags as bits; one that the mailbox does not have is on no message.
func flagSet(flags, keywords []string) (set state.Flags) {
	for _, f := range flags {
		if bit, ok := state.FlagBit(keywords, f); ok {
			set = set.With(bit)
		}
	}
	return set
}

// apply gives the flags that a client expects of its STORE.
func apply(op mailstore.FlagOp, have, flags state.Flags) state.Flags {
	switch op {
	case mailstore.AddFlags:
		return have.Or(flags)
	case mailstore.RemoveFlags:
		return have.AndNot(flags)
	}
	return flags
}

// numbersOf gives messages of the view as a set of sequence numbers or UIDs.
func (s *session) numbersOf(uids event.UIDSet, byUID bool) string {
	if byUID {
		return uids.String()
	}
	var set wire.NumSet
	for seq := range s.box.among(uids) {
		set.Add(uint32(seq), uint32(seq))
	}
	return set.String()
}
