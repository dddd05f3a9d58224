package main

import (
	"fmt"
	"slices"
	"strings"

	"angarium/mailstore"
)

// op is a command: what it changes, if it is carried out.
type op struct {
	what    string
	changes []change
	acked   bool // a part of it was acknowledged, so all of it must be there
}

// verdict is what a check can tell of a change.
type verdict int

const (
	unknown verdict = iota // it makes no difference that could be seen
	absent
	present
	broken // neither
)

// change is one difference that a command makes.
type change interface {
	about() (a *account, subject string)
	// seen says whether the change was made, from what IMAP shows.
	seen(w world) verdict
	// apply makes the change in the model.
	apply()
}

// addition is a new message in a mailbox.
type addition struct {
	box   *box
	key   string
	uid   uint32 // as told; 0: not told
	flags []string
	owner int
	// emailID is the EMAILID of the message that this one is a copy of, if known.
	emailID string
}

func (c *addition) about() (*account, string) { return c.box.account, c.key }

func (c *addition) seen(w world) verdict {
	if b := w[c.box.account.name][c.box.name]; b != nil && len(b.byKey[c.key]) > 0 {
		return present
	}
	for uid, key := range c.box.ledger {
		if key == c.key && uid >= c.box.uidnext {
			return broken // a client saw it
		}
	}
	return absent
}

func (c *addition) apply() {
	if c.uid != 0 {
		c.box.assigned(c.uid, c.key)
	}
	c.box.add(c.key, c.uid, c.flags, c.owner).emailID = c.emailID
}

// removal is the end of a message in a mailbox.
type removal struct{ msg *message }

func (c *removal) about() (*account, string) { return c.msg.box.account, c.msg.key }

func (c *removal) seen(w world) verdict {
	b := w[c.msg.box.account.name][c.msg.box.name]
	if b == nil {
		return broken
	}
	if b.messages[c.msg.uid] == nil {
		return present
	}
	return absent
}

func (c *removal) apply() { c.msg.box.remove(c.msg) }

// flagging changes the flags of a message.
type flagging struct {
	msg    *message
	after  []string
	modseq uint64 // as told; 0: not told
}

func newFlagging(m *message, add bool, flags []string) *flagging {
	after := slices.DeleteFunc(slices.Clone(m.flags), func(f string) bool { return slices.Contains(flags, f) })
	if add {
		after = append(after, flags...)
	}
	slices.Sort(after)
	return &flagging{msg: m, after: after}
}

func (c *flagging) about() (*account, string) { return c.msg.box.account, c.msg.key }

func (c *flagging) seen(w world) verdict {
	b := w[c.msg.box.account.name][c.msg.box.name]
	if b == nil || b.messages[c.msg.uid] == nil {
		return broken
	}
	switch flags := b.messages[c.msg.uid].flags; {
	case slices.Equal(c.after, c.msg.flags):
		return unknown
	case slices.Equal(flags, c.after):
		return present
	case slices.Equal(flags, c.msg.flags):
		return absent
	}
	return broken
}

func (c *flagging) apply() { c.msg.flags, c.msg.modseq = c.after, c.modseq }

// creation is a new mailbox.
type creation struct{ box *box }

func (c *creation) about() (*account, string) { return c.box.account, c.box.name }

func (c *creation) seen(w world) verdict { return presence(w[c.box.account.name][c.box.name] != nil) }

func (c *creation) apply() { c.box.account.boxes[c.box.name] = c.box }

// deletion is the end of a mailbox with its messages.
type deletion struct{ box *box }

func (c *deletion) about() (*account, string) { return c.box.account, c.box.name }

func (c *deletion) seen(w world) verdict { return presence(w[c.box.account.name][c.box.name] == nil) }

func (c *deletion) apply() { delete(c.box.account.boxes, c.box.name) }

func presence(is bool) verdict {
	if is {
		return present
	}
	return absent
}

// renaming gives a mailbox another name. What lies below it is renamed by further ones.
type renaming struct {
	box *box
	to  string
}

func (c *renaming) about() (*account, string) { return c.box.account, c.box.name }

func (c *renaming) seen(w world) verdict {
	boxes := w[c.box.account.name]
	switch before, after := boxes[c.box.name] != nil, boxes[c.to] != nil; {
	case before && !after:
		return absent
	case after && !before:
		return present
	}
	return broken
}

func (c *renaming) apply() {
	a := c.box.account
	a.note(c.to, "was %s before", c.box.name)
	delete(a.boxes, c.box.name)
	c.box.name = c.to
	a.boxes[c.to] = c.box
	if a.used[c.to] == nil {
		a.used[c.to] = map[uint32]bool{}
	}
	a.used[c.to][c.box.uidvalidity] = c.box.uidvalidity != 0
}

// note records in the histories what became of a command.
func (o *op) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, c := range o.changes {
		a, about := c.about()
		a.note(about, "%s: %s", o.what, text)
	}
}

// apply makes all changes of a command that was acknowledged.
func (o *op) apply() {
	for _, c := range o.changes {
		c.apply()
	}
}

// resolve finds out whether a command that was under way when the server died was carried out, and makes its changes if so.
//
// A command is carried out whole or not at all in each shard: what goes to accounts of several shards may be done in some of them.
func (o *op) resolve(w world) {
	for _, part := range o.byShard() {
		part.resolveWhole(w)
	}
}

// byShard splits a command into what it does in each shard.
func (o *op) byShard() []*op {
	parts := map[int]*op{}
	var list []*op
	for _, c := range o.changes {
		a, _ := c.about()
		shard := mailstore.ShardOf(a.name, a.m.shards)
		if parts[shard] == nil {
			part := *o
			part.changes = nil
			parts[shard] = &part
			list = append(list, &part)
		}
		parts[shard].changes = append(parts[shard].changes, c)
	}
	return list
}

func (o *op) resolveWhole(w world) {
	var got [4][]string
	for _, c := range o.changes {
		a, about := c.about()
		v := c.seen(w)
		got[v] = append(got[v], a.name+" "+about)
		if v == broken {
			a.violation(about, "%s: not as it was before and not as it should be after; or it is gone although a client saw it", o.what)
		}
	}
	switch {
	case len(got[broken]) > 0:
	case len(got[absent]) > 0 && len(got[present]) > 0:
		a, about := o.changes[0].about()
		a.violation(about, "%s was carried out in part: for %s, but not for %s", o.what, strings.Join(got[present], ", "), strings.Join(got[absent], ", "))
	case len(got[absent]) > 0 && o.acked:
		a, about := o.changes[0].about()
		a.violation(about, "%s was acknowledged and is lost", o.what)
	case len(got[absent]) == 0:
		o.note("not acknowledged, but done")
		o.apply()
	default:
		o.note("not acknowledged and not done")
	}
}
