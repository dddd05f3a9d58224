package notify

import (
	"sort"

	"angarium/eventlog/event"
	"angarium/replica/state"
)

// liveView describes events as they are applied: the replica handed over every row that they made, so that everything is exact.
type liveView struct {
	rows   map[event.MailboxID][]*state.Mailbox // after each event of the batch, by ascending modseq
	prior  map[event.MailboxID]*state.Mailbox   // before the batch
	reader state.Reader                         // of what never changes: messages and bodies
	bodies bodyNotes
}

func newLiveView(b *applied, reader state.Reader) *liveView {
	v := &liveView{rows: make(map[event.MailboxID][]*state.Mailbox, len(b.changes)), prior: b.prior, reader: reader}
	for i := range b.changes {
		if row := b.changes[i].Mailbox; row != nil {
			v.rows[row.ID] = append(v.rows[row.ID], row)
		}
	}
	return v
}

func (v *liveView) after(id event.MailboxID, modseq uint64) box { return v.upTo(id, modseq+1) }

func (v *liveView) before(id event.MailboxID, modseq uint64) box { return v.upTo(id, modseq) }

// upTo gives the last row that was made below a modseq.
func (v *liveView) upTo(id event.MailboxID, modseq uint64) box {
	rows := v.rows[id]
	if k := sort.Search(len(rows), func(i int) bool { return rows[i].HighestModseq >= modseq }); k > 0 {
		return box{row: rows[k-1], named: true, counted: true}
	}
	if row := v.prior[id]; row != nil {
		return box{row: row, named: true, counted: true}
	}
	return box{}
}

func (v *liveView) message(id event.MailboxID, uid uint32) []byte {
	return readMessage(v.reader, id, uid)
}

func (v *liveView) body(guid event.GUID) (uint64, []byte) { return v.bodies.read(v.reader, guid) }

func (v *liveView) passed(ev event.Event) { v.bodies.note(ev) }

// pastView describes events that were read back from the log. What never changes is exact; the rest is taken from the present state, and is exact
// where the mailbox has not changed since, or where the name was seen in the log on the way.
type pastView struct {
	reader state.Reader
	names  map[event.MailboxID]named
	bodies bodyNotes
}

// named is what the log says of a mailbox on the way.
type named struct {
	account, name string
	uidValidity   uint32
	specialUse    []string
}

// maxNames bounds the names that a reader of the log keeps in mind.
const maxNames = 10_000

func newPastView(reader state.Reader) *pastView {
	return &pastView{reader: reader, names: map[event.MailboxID]named{}}
}

func (v *pastView) after(id event.MailboxID, modseq uint64) box {
	row, err := state.GetMailbox(v.reader, id)
	if err != nil {
		row = nil // told of by the mark on the event; the replica has its own ways to tell of damage
	}
	if row != nil && row.HighestModseq <= modseq {
		return box{row: row, named: true, counted: true}
	}
	n, ok := v.names[id]
	switch {
	case row == nil && !ok:
		return box{}
	case row == nil:
		return v.fromName(id, n)
	case ok:
		row.Name, row.SpecialUse = n.name, n.specialUse
	}
	return box{row: row, named: ok}
}

func (v *pastView) fromName(id event.MailboxID, n named) box {
	return box{row: &state.Mailbox{ID: id, Account: n.account, Name: n.name, UIDValidity: n.uidValidity, SpecialUse: n.specialUse}, named: true}
}

func (v *pastView) before(id event.MailboxID, _ uint64) box {
	if n, ok := v.names[id]; ok {
		return v.fromName(id, n)
	}
	return box{}
}

func (v *pastView) message(id event.MailboxID, uid uint32) []byte {
	return readMessage(v.reader, id, uid)
}

func (v *pastView) body(guid event.GUID) (uint64, []byte) { return v.bodies.read(v.reader, guid) }

func (v *pastView) passed(ev event.Event) {
	v.bodies.note(ev)
	switch e := ev.(type) {
	case *event.MailboxCreated:
		v.remember(e.Mailbox, named{e.Account, e.Name, e.UIDValidity, e.SpecialUse})
	case *event.MailboxRenamed:
		for _, r := range e.Renames {
			if n, ok := v.names[r.Mailbox]; ok {
				n.name = r.Name
				v.names[r.Mailbox] = n
			} else if row, err := state.GetMailbox(v.reader, r.Mailbox); err == nil && row != nil {
				v.remember(r.Mailbox, named{row.Account, r.Name, row.UIDValidity, row.SpecialUse})
			}
		}
	case *event.SpecialUseSet:
		if n, ok := v.names[e.Mailbox]; ok {
			n.specialUse = e.SpecialUse
			v.names[e.Mailbox] = n
		}
	case *event.MailboxDeleted:
		delete(v.names, e.Mailbox)
	}
}

func (v *pastView) remember(id event.MailboxID, n named) {
	if len(v.names) >= maxNames {
		for some := range v.names {
			delete(v.names, some)
			break
		}
	}
	v.names[id] = n
}

func readMessage(r state.Reader, id event.MailboxID, uid uint32) []byte {
	m, ok, err := state.GetMessage(r, id, uid)
	if err != nil || !ok {
		return nil
	}
	return m.Structure
}

// bodyNotes keeps the bodies that an envelope brings along, which most messages in it refer to.
type bodyNotes struct {
	known map[event.GUID]bodyNote
}

type bodyNote struct {
	size      uint64
	structure []byte
}

// maxBodyNotes bounds the bodies that are kept in mind.
const maxBodyNotes = 1024

func (n *bodyNotes) note(ev event.Event) {
	if c, ok := ev.(*event.BodyChunk); ok && len(c.Structure) > 0 {
		n.keep(c.GUID, bodyNote{c.Size, c.Structure})
	}
}

func (n *bodyNotes) keep(guid event.GUID, b bodyNote) {
	if n.known == nil || len(n.known) >= maxBodyNotes {
		n.known = map[event.GUID]bodyNote{}
	}
	n.known[guid] = b
}

func (n *bodyNotes) read(r state.Reader, guid event.GUID) (uint64, []byte) {
	if b, ok := n.known[guid]; ok {
		return b.size, b.structure
	}
	row, err := state.GetBody(r, guid)
	if err != nil || row == nil {
		return 0, nil
	}
	n.keep(guid, bodyNote{row.Size, row.Structure})
	return row.Size, row.Structure
}
