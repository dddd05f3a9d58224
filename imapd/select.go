package imapd

import (
	"context"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
	"angarium/mailstore"
	"angarium/replica"
	"angarium/replica/state"
)

// selectRequest is the arguments of SELECT or EXAMINE.
type selectRequest struct {
	name      string
	asked     string // the name as the client spelled it, in UTF-8
	condstore bool
	qresync   *qresyncRequest
}

// handleSelect opens a mailbox for reading and writing (RFC 9051, section 6.3.2).
func handleSelect(s *session, ctx context.Context) (reply, error) { return s.selectMailbox(ctx, false) }

// handleExamine opens a mailbox for reading (RFC 9051, section 6.3.3).
func handleExamine(s *session, ctx context.Context) (reply, error) { return s.selectMailbox(ctx, true) }

func (s *session) selectMailbox(ctx context.Context, readOnly bool) (reply, error) {
	req, err := s.parseSelect()
	if err != nil {
		return reply{}, err
	}
	if req.qresync != nil && !s.qresync { // RFC 7162, section 3.2.5
		return reply{}, s.bad("QRESYNC is not enabled")
	}
	if req.condstore || req.qresync != nil {
		s.enableCondstore()
	}
	if s.box != nil { // also when the new one cannot be opened
		s.unselect(ctx)
		s.enc.Status("*", "OK", "CLOSED", "The mailbox selected before is closed")
	}
	mb, err := s.srv.opts.Store.Open(ctx, s.id, s.id.Account, req.name, readOnly)
	if err != nil {
		return reply{}, err
	}
	snap := mb.Snapshot()
	s.box = &selected{mb: mb, told: snap.List, snap: snap}
	s.rewatch()
	s.writeSummary(snap, req)
	if req.qresync != nil {
		if err := s.resync(snap, req.qresync); err != nil {
			s.unselect(ctx)
			return reply{}, err
		}
	}
	if readOnly {
		return reply{"READ-ONLY", "EXAMINE completed"}, nil
	}
	return reply{"READ-WRITE", "SELECT completed"}, nil
}

func (s *session) parseSelect() (selectRequest, error) {
	var req selectRequest
	err := s.r.SP()
	if err != nil {
		return req, err
	}
	if req.asked, err = s.r.AString(); err != nil {
		return req, err
	}
	if !s.utf8 {
		if req.asked, err = wire.DecodeUTF7(req.asked); err != nil {
			return req, &wire.NameError{Msg: "is not valid modified UTF-7"}
		}
	}
	if req.name, err = wire.NormalizeMailbox(req.asked, mailstore.Separator[0]); err != nil {
		return req, err
	}
	end, err := s.r.AtCRLF()
	if err != nil {
		return req, err
	}
	if !end {
		if err := s.r.SP(); err != nil {
			return req, err
		}
		if err := s.r.List(func() error { return s.parseSelectParam(&req) }); err != nil {
			return req, err
		}
	}
	return req, s.r.CRLF()
}

func (s *session) parseSelectParam(req *selectRequest) error {
	name, err := s.r.Keyword()
	if err != nil {
		return err
	}
	switch name {
	case "CONDSTORE":
		req.condstore = true
		return nil
	case "QRESYNC":
		if req.qresync != nil {
			return s.bad("QRESYNC given twice")
		}
		req.qresync, err = s.parseQresync()
		return err
	}
	return s.bad("Unknown parameter of SELECT")
}

// writeSummary sends what SELECT tells of a mailbox.
func (s *session) writeSummary(snap *replica.Snapshot, req selectRequest) {
	row := snap.Mailbox
	s.writeFlags(snap)
	s.writeExists(snap)
	if !s.rev2 {
		if seq := firstUnseen(snap); seq > 0 {
			s.enc.Raw("* OK [UNSEEN ").Number(uint64(seq)).Raw("] first message without \\Seen\r\n")
		}
	}
	s.enc.Raw("* OK [UIDVALIDITY ").Number(uint64(row.UIDValidity)).Raw("] UIDs are valid\r\n")
	s.enc.Raw("* OK [UIDNEXT ").Number(uint64(row.UIDNext)).Raw("] next UID\r\n")
	s.enc.Raw("* OK [HIGHESTMODSEQ ").Number(row.HighestModseq).Raw("] highest modseq\r\n")
	s.enc.Raw("* OK [MAILBOXID (").Raw(row.ID.String()).Raw(")] id of the mailbox\r\n")
	if s.rev2 { // RFC 9051, section 6.3.2
		s.enc.Raw(`* LIST () "` + mailstore.Separator + `" `).Mailbox(req.name)
		if req.asked != req.name {
			s.enc.Raw(` ("OLDNAME" (`).Mailbox(req.asked).Raw("))")
		}
		s.enc.CRLF()
	}
}

func firstUnseen(snap *replica.Snapshot) int {
	if snap.Mailbox.Unseen == 0 {
		return 0
	}
	for seq, live := range snap.List.All() {
		if !live.Flags.Has(state.Seen) {
			return seq
		}
	}
	return 0
}

// lastUID is the highest UID there can be.
const lastUID = 1<<32 - 1

// allUIDs is the set of all UIDs.
func allUIDs() event.UIDSet { return event.UIDSet{{First: 1, Last: lastUID}} }
