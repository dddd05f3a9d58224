package expire

import (
	"slices"
	"time"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

// The reasons for which messages expire.
const (
	TooOld  = "age"
	TooMany = "messages"
	TooBig  = "size"
)

// Found is messages of one mailbox that a limit expunges.
type Found struct {
	Account  string          `json:"account"`
	Mailbox  string          `json:"mailbox"`
	ID       event.MailboxID `json:"-"`
	Policy   string          `json:"policy"`
	Reason   string          `json:"reason"` // TooOld, TooMany or TooBig
	Messages int             `json:"messages"`
	Bytes    uint64          `json:"bytes"`
	UIDs     event.UIDSet    `json:"-"`
}

// examine finds up to most messages (0: all) of a mailbox that are over its limits, oldest first, one Found for each reason. It reads the
// messages that it finds and one more, and all of them only for an age by internal date.
func examine(s *mailstore.Store, id mailstore.Identity, m *state.Mailbox, l *Limits, now time.Time, most int) ([]Found, int, error) {
	if l.None() {
		return nil, 0, nil
	}
	var list []Found
	n, left, size := 0, int(m.Messages), m.Size
	before := now.Add(-l.Age.Limit).Unix()
	err := s.Records(id, m, 1, func(r state.Message) (bool, error) {
		date := r.SaveDate
		if l.ByReceived {
			date = r.InternalDate
		}
		switch {
		case l.Age.Limit > 0 && date < before:
			list = add(list, m, l.Age.Policy, TooOld, r)
		case l.Messages.Limit > 0 && left > l.Messages.Limit:
			list = add(list, m, l.Messages.Policy, TooMany, r)
		case l.Bytes.Limit > 0 && size > uint64(l.Bytes.Limit):
			list = add(list, m, l.Bytes.Policy, TooBig, r)
		default:
			return l.Age.Limit > 0 && l.ByReceived, nil
		}
		n++
		left--
		size -= min(size, r.Size)
		return most == 0 || n < most, nil
	})
	return list, n, err
}

func add(list []Found, m *state.Mailbox, policy, reason string, r state.Message) []Found {
	k := slices.IndexFunc(list, func(f Found) bool { return f.Policy == policy && f.Reason == reason })
	if k < 0 {
		k = len(list)
		list = append(list, Found{Account: m.Account, Mailbox: m.Name, ID: m.ID, Policy: policy, Reason: reason})
	}
	f := &list[k]
	f.UIDs = f.UIDs.Add(r.UID)
	f.Messages++
	f.Bytes += r.Size
	return list
}
