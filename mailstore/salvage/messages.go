package salvage

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"angarium/eventlog/event"
	"angarium/mailstore"
	"angarium/replica/state"
)

// key names a message as the old history did.
type key struct {
	box event.MailboxID
	uid uint32
}

// entered is a message that entered a mailbox in the tail, and where it is in the new history.
type entered struct {
	guid  event.GUID
	date  int64
	flags flagSet // as the tail has it so far
	at    *box    // nil when it was not salvaged
	uid   uint32  // 0 in a plan
	lost  bool    // nothing is known of it; but its UID is not one of the new history
}

// maxIndexed bounds the GUIDs of mailboxes that are kept in memory, those of the largest one left out of account.
const maxIndexed = 2_000_000

// messages goes through the tail for the second time, for bodies and messages.
func (e *engine) messages(ctx context.Context, tail Tail) error {
	n := 0
	for env, err := range tail {
		if err != nil {
			return err
		}
		for _, entry := range env.Entries {
			if n >= len(e.items) || e.items[n].position != env.Position || e.items[n].event.Kind() != entry.Event.Kind() {
				return errChanged
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.message(ctx, n, entry.Event); err != nil {
				return err
			}
			n++
		}
	}
	if n != len(e.items) {
		return errChanged
	}
	e.tellBodies()
	return nil
}

func (e *engine) message(ctx context.Context, n int, ev event.Event) error {
	it := &e.items[n]
	switch v := ev.(type) {
	case *event.BodyChunk:
		return e.chunk(ctx, v)
	case *event.MessagesAppended:
		return e.appended(ctx, it, v)
	case *event.MessagesCopied:
		return e.copied(ctx, it, v.Account, v.Source, v.SourceUIDs, v.Dest, v.FirstUID)
	case *event.MessagesMoved:
		return e.copied(ctx, it, v.Account, v.Source, v.SourceUIDs, v.Dest, v.FirstUID)
	case *event.FlagsChanged:
		return e.flagsChanged(ctx, n, v)
	}
	return nil
}

func (e *engine) appended(ctx context.Context, it *item, v *event.MessagesAppended) error {
	a, err := e.account(ctx, v.Account)
	if err != nil {
		return err
	}
	it.mailbox = e.nameOf(a, v.Mailbox)
	for _, m := range v.Messages {
		ent := &entered{guid: m.GUID, date: m.InternalDate, flags: newFlagSet(m.Flags)}
		e.came[key{v.Mailbox, m.UID}] = ent
		if err := e.place(ctx, it, a, v.Mailbox, ent); err != nil {
			return err
		}
	}
	return nil
}

// copied appends what was copied, or moved, into a mailbox. What was moved stays where it was, too.
func (e *engine) copied(ctx context.Context, it *item, name string, source event.MailboxID, uids event.UIDSet, dest event.MailboxID, first uint32) error {
	a, err := e.account(ctx, name)
	if err != nil {
		return err
	}
	it.mailbox = e.nameOf(a, dest)
	next := first
	for uid := range uids.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		ent, err := e.source(ctx, a, key{source, uid})
		if err != nil {
			return err
		}
		to := key{dest, next}
		next++
		if ent == nil {
			it.skip("the message that it was made of is gone")
			e.came[to] = &entered{lost: true, flags: flagSet{}}
			continue
		}
		e.came[to] = ent
		if err := e.place(ctx, it, a, dest, ent); err != nil {
			return err
		}
	}
	return nil
}

// source gives a message to be copied, as the tail has it at that point; nil when it is not known.
func (e *engine) source(ctx context.Context, a *account, k key) (*entered, error) {
	if ent := e.came[k]; ent != nil && ent.lost {
		return nil, nil
	} else if ent != nil {
		return &entered{guid: ent.guid, date: ent.date, flags: ent.flags.clone()}, nil
	}
	ent, err := e.present(ctx, a, k)
	if ent == nil && err == nil {
		var m Message
		var ok bool
		if m, ok, err = e.old.Message(k.box, k.uid); ok {
			ent = &entered{guid: m.GUID, date: m.InternalDate, flags: newFlagSet(m.Flags)}
		}
	}
	if ent != nil {
		ent.flags.apply(e.deltas[k])
	}
	return ent, err
}

// present gives a message that was there before the tail and still is.
func (e *engine) present(ctx context.Context, a *account, k key) (*entered, error) {
	b := a.boxes[k.box]
	if b == nil || b.id != k.box {
		return nil, nil
	}
	mb, err := e.look(ctx, b)
	if err != nil || mb == nil {
		return nil, err
	}
	snap := mb.Snapshot()
	live, ok := snap.List.Get(k.uid)
	if !ok {
		return nil, nil
	}
	m, ok, err := mb.Message(k.uid)
	if !ok || err != nil {
		return nil, err
	}
	return &entered{guid: m.GUID, date: m.InternalDate, flags: newFlagSet(live.Flags.Names(snap.Mailbox.Keywords)), at: b, uid: k.uid}, nil
}

// look opens a mailbox, and keeps it open until another is looked at; nil when it is not there any more, or not yet, in a plan.
func (e *engine) look(ctx context.Context, b *box) (*mailstore.Mailbox, error) {
	if b.id.IsZero() {
		return nil, nil
	}
	if e.open != nil && e.open.ID() == b.id && !e.open.Snapshot().Deleted {
		return e.open, nil
	}
	e.close()
	name, err := e.nameInStore(ctx, b)
	if err != nil || name == "" {
		return nil, err
	}
	mb, err := e.store.Open(ctx, e.id, b.account.name, name, false)
	switch {
	case errors.Is(err, mailstore.ErrNoMailbox):
		return nil, nil
	case err != nil:
		return nil, err
	case mb.ID() != b.id:
		mb.Close()
		return nil, nil
	}
	e.open = mb
	return mb, nil
}

// nameInStore gives the name that a mailbox has now: a plan renames in its mind only, and others may rename meanwhile. It is "" when the mailbox
// is gone.
func (e *engine) nameInStore(ctx context.Context, b *box) (string, error) {
	list, err := e.store.Mailboxes(ctx, e.id, b.account.name)
	if err != nil {
		return "", err
	}
	for _, m := range list {
		if m.ID == b.id {
			return m.Name, nil
		}
	}
	return "", nil
}

func (e *engine) close() {
	if e.open != nil {
		e.open.Close()
		e.open = nil
	}
}

// place puts a message into the mailbox that it entered in the tail, or the one that stands for it.
func (e *engine) place(ctx context.Context, it *item, a *account, id event.MailboxID, ent *entered) error {
	ent.at, ent.uid = nil, 0
	if it.noAccount(a) {
		return nil
	}
	err := e.placeOnce(ctx, it, a, id, ent)
	if !errors.Is(err, mailstore.ErrNoMailbox) {
		return err
	}
	if err := e.refresh(ctx, a); err != nil { // somebody renamed or deleted the mailbox meanwhile
		return err
	}
	return e.placeOnce(ctx, it, a, id, ent)
}

func (e *engine) placeOnce(ctx context.Context, it *item, a *account, id event.MailboxID, ent *entered) error {
	b, err := e.resolve(it, a, id)
	if err != nil {
		return err
	}
	if b == nil {
		it.skip("there is no mailbox for it")
		return nil
	}
	uid, ok, err := e.find(ctx, b, ent.guid)
	if err != nil {
		return err
	}
	if ok {
		it.already++
		ent.at, ent.uid = b, uid
		return nil
	}
	body, why, err := e.body(ctx, a, ent.guid)
	if err != nil {
		return err
	}
	if body == nil {
		it.skip("%s", why)
		return nil
	}
	if e.dry {
		e.virtual[target{b, 0, ent.guid}] = ent.flags.clone()
	} else if uid, err = e.append(ctx, it, b, body, ent); err != nil {
		if fatal(ctx, err) || errors.Is(err, mailstore.ErrNoMailbox) {
			return err
		}
		it.skip("%v", err)
		return nil
	}
	it.applied++
	ent.at, ent.uid = b, uid
	b.added[ent.guid] = uid
	return nil
}

// resolve finds the mailbox with an id, or the one that stands for it.
func (e *engine) resolve(it *item, a *account, id event.MailboxID) (*box, error) {
	if b := a.boxes[id]; b != nil {
		it.mailbox = b.name
		return b, nil
	}
	name, ok := e.last.name[id]
	if !ok {
		var err error
		if name, ok, err = e.old.MailboxName(a.name, id); err != nil {
			return nil, err
		}
	}
	if b := a.names[name]; ok && b != nil {
		it.mailbox = b.name
		it.say("the mailbox is gone, another has its name")
		return b, nil
	}
	it.say("in INBOX: the mailbox is gone")
	return a.names[mailstore.Inbox], nil
}

// find looks for a message by its GUID.
func (e *engine) find(ctx context.Context, b *box, guid event.GUID) (uid uint32, ok bool, err error) {
	if uid, ok = b.added[guid]; ok {
		return uid, true, nil
	}
	if b.guids == nil {
		if err := e.index(ctx, b); err != nil {
			return 0, false, err
		}
	}
	uid, ok = b.guids[guid]
	return uid, ok, nil
}

// index reads the GUIDs of a mailbox.
func (e *engine) index(ctx context.Context, b *box) error {
	n := 0
	for _, other := range e.indexed {
		n += len(other.guids)
	}
	if n > maxIndexed {
		for _, other := range e.indexed {
			other.guids = nil
		}
		e.indexed = nil
	}
	b.guids = map[event.GUID]uint32{}
	e.indexed = append(e.indexed, b)
	mb, err := e.look(ctx, b)
	if err == nil && mb == nil && !e.dry {
		err = mailstore.ErrNoMailbox
	}
	if err != nil || mb == nil {
		return err
	}
	return mb.Messages(1, 1<<32-1, func(m state.Message) (bool, error) {
		b.guids[m.GUID] = m.UID
		return true, ctx.Err()
	})
}

// append appends one message; without its keywords, when the mailbox has no room for them.
func (e *engine) append(ctx context.Context, it *item, b *box, body *mailstore.Body, ent *entered) (uint32, error) {
	flags := ent.flags.names()
	msg := mailstore.NewMessage{Body: body, Flags: flags, InternalDate: time.Unix(ent.date, 0)}
	res, err := e.store.Append(ctx, e.id, b.account.name, b.name, []mailstore.NewMessage{msg})
	if errors.Is(err, mailstore.ErrLimit) && len(flags) > 0 {
		it.say("without its keywords: %v", err)
		msg.Flags = slices.DeleteFunc(flags, func(f string) bool { return !strings.HasPrefix(f, `\`) })
		res, err = e.store.Append(ctx, e.id, b.account.name, b.name, []mailstore.NewMessage{msg})
	}
	return res.First, err
}
