package imapd

import (
	"context"
	"errors"
	"iter"

	"angarium/eventlog/event"
	"angarium/imapd/wire"
	"angarium/mailstore"
	"angarium/replica"
	"angarium/replica/state"
	"angarium/replica/view"
)

// selected is a session's view of the mailbox it has selected. Message sequence numbers are positions in told, which
// is what the client has been told and nothing else: it changes in step with the untagged responses.
//
// Two rules keep it simple:
//   - Everything that came or changed is told before a command looks at messages (session.catchUp). What was expunged
//     is told only where EXPUNGE is allowed; until then it keeps its place in told, with its last known flags. What NOTIFY
//     leaves out is not told, nor is it in told.
//   - Data comes from the store, numbers and flags from told. A message that is in told and no longer in the store has
//     flags and a UID, and no record and no body.
type selected struct {
	mb       *mailstore.Mailbox
	told     view.List
	snap     *replica.Snapshot // what told was compared with last
	withheld notifyEvents      // what happened up to snap and is not in told
	keywords []string          // the mailbox's table as far as told by FLAGS
	recent   event.UIDSet      // \Recent in this session; empty in rev2 mode
	text     map[flagKey]string
	body     bodyCache
	own      event.UIDSet // new messages that the session itself made, and that it is not told of by FETCH
}

// errMailboxDeleted ends the connection, after BYE: IMAP has no response that says that the selected mailbox is no longer
// there (RFC 2180, section 3.2).
var errMailboxDeleted = errors.New("the selected mailbox was deleted")

// catchUp tells the client what came and what changed before a command looks at messages, so that the command
// works on the newest state. EXPUNGE is left out when the command has sequence numbers.
func (s *session) catchUp(ctx context.Context, byUID bool) error { return s.writeUpdates(ctx, byUID) }

// unselect gives the selected mailbox back, if there is one.
func (s *session) unselect(ctx context.Context) {
	b := s.box
	if b == nil {
		return
	}
	s.box, s.saved = nil, wire.NumSet{}
	s.rewatch()
	b.body.drop()
	// The worst that comes of an error is that messages are \Recent once more.
	if err := b.mb.KeepRecent(ctx); err != nil && !errors.Is(err, mailstore.ErrNoMailbox) {
		s.log.Warn("keep recent", "mailbox", b.mb.ID().String(), "error", err)
	}
	b.mb.Close()
}

// changed gets a value when there is something for writeUpdates to tell.
func (b *selected) changed() <-chan struct{} { return b.mb.Changed() }

// resolve gives the UIDs that a set of sequence numbers or UIDs stands for. As RFC 9051 (section 9, seq-number) asks, a
// sequence number above EXISTS is BAD, and so is "*" in an empty mailbox. UIDs that are not there are no
// error, and "*" is the last message, if any. Gaps between the UIDs of a sequence range stay in the result: no message
// will ever have those UIDs.
func (s *session) resolve(set wire.NumSet, byUID bool) (event.UIDSet, error) {
	b := s.box
	n := uint32(b.told.Len())
	var uids event.UIDSet
	if byUID {
		uids = uidsOf(set.Resolve(b.told.LastUID()))
	} else {
		if err := s.checkNumbers(set, n); err != nil {
			return nil, err
		}
		for _, r := range set.Resolve(n).Ranges() {
			uids = append(uids, event.UIDRange{First: b.told.At(int(r.Start)).UID, Last: b.told.At(int(r.Stop)).UID})
		}
	}
	if set.Saved() {
		uids = unionUIDs(uids, uidsOf(s.saved))
	}
	return uids, nil
}

func (s *session) checkNumbers(set wire.NumSet, n uint32) error {
	from, star := set.Star()
	highest := uint32(0)
	if ranges := set.Ranges(); len(ranges) > 0 {
		highest = ranges[len(ranges)-1].Stop
	}
	const alone = 1<<32 - 1 // * alone
	if star && from != alone {
		highest = max(highest, from)
	}
	if highest > n || star && n == 0 {
		return s.bad("no message has this sequence number")
	}
	return nil
}

// among yields the sequence numbers and messages of told that are in uids.
func (b *selected) among(uids event.UIDSet) iter.Seq2[int, state.Live] {
	told := b.told
	return func(yield func(int, state.Live) bool) {
		for _, r := range uids {
			seq, _ := told.Seq(r.First)
			for seq, live := range told.From(seq) {
				if live.UID > r.Last {
					break
				}
				if !yield(seq, live) {
					return
				}
			}
		}
	}
}

// anyGone says whether one of the messages that the client asked for has been expunged meanwhile.
func (b *selected) anyGone(uids event.UIDSet) bool {
	if b.withheld&messageExpunge == 0 && b.snap == b.mb.Snapshot() {
		return false
	}
	list := b.mb.Snapshot().List
	for _, live := range b.among(uids) {
		if _, ok := list.Get(live.UID); !ok {
			return true
		}
	}
	return false
}
