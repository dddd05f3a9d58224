package imapd

import (
	"context"
	"slices"
	"strconv"

	"angarium/replica/state"
)

// statusItems lists what STATUS can tell (RFC 9051, section 6.3.11; RECENT is of RFC 3501, HIGHESTMODSEQ of RFC 7162, MAILBOXID
// of RFC 8474, APPENDLIMIT of RFC 7889).
var statusItems = [...]string{
	"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "RECENT", "HIGHESTMODSEQ", "MAILBOXID", "APPENDLIMIT",
}

// handleStatus serves STATUS from the mailbox's summary alone: no message is looked at.
func handleStatus(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	name, err := s.r.Mailbox()
	if err != nil {
		return reply{}, err
	}
	items, err := s.statusItems()
	if err != nil {
		return reply{}, err
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	m, err := s.srv.opts.Store.Mailbox(ctx, s.id, s.id.Account, name)
	if err != nil {
		return reply{}, err
	}
	s.writeStatus(m, items)
	return reply{text: "Status told"}, nil
}

// statusItems parses a space and the items in parentheses.
func (s *session) statusItems() ([]string, error) {
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	var items []string
	err := s.r.List(func() error {
		item, err := s.r.Keyword()
		if err != nil {
			return err
		}
		if !slices.Contains(statusItems[:], item) {
			return s.bad("Unknown status item")
		}
		if item == "HIGHESTMODSEQ" { // RFC 7162, section 3.1
			s.enableCondstore()
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
		return nil
	})
	if err == nil && len(items) == 0 {
		err = s.bad("No status items")
	}
	return items, err
}

func (s *session) writeStatus(m *state.Mailbox, items []string) {
	s.enc.Raw("* STATUS ").Mailbox(m.Name).SP().Open()
	for i, item := range items {
		if i > 0 {
			s.enc.SP()
		}
		s.enc.Raw(item).SP()
		switch item {
		case "MESSAGES":
			s.enc.Number(uint64(m.Messages))
		case "UIDNEXT":
			s.enc.Number(uint64(m.UIDNext))
		case "UIDVALIDITY":
			s.enc.Number(uint64(m.UIDValidity))
		case "UNSEEN":
			s.enc.Number(uint64(m.Unseen))
		case "DELETED":
			s.enc.Number(uint64(m.Deleted))
		case "SIZE":
			s.enc.Number(m.Size)
		case "RECENT":
			s.enc.Number(uint64(recentOf(m)))
		case "HIGHESTMODSEQ":
			s.enc.Number(m.HighestModseq)
		case "MAILBOXID":
			s.enc.Open().Raw(m.ID.String()).Close()
		case "APPENDLIMIT":
			s.enc.Raw(s.appendLimit())
		}
	}
	s.enc.Close().CRLF()
}

// recentOf says how many messages the next session to select the mailbox would be told as \Recent: those that came since the last did, less
// those of them that were expunged, of which the summary only knows that no more than Messages are left.
func recentOf(m *state.Mailbox) uint32 {
	return min(m.Messages, m.UIDNext-1-min(m.RecentUID, m.UIDNext-1))
}

// appendLimit is the size of the largest message that APPEND takes, in bytes (RFC 7889).
func (s *session) appendLimit() string { return strconv.FormatInt(s.srv.opts.Limits.MessageBytes, 10) }
