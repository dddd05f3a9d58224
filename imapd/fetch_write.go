package imapd

import (
	"time"

	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/view"
)

// fetchWriter writes the responses of a FETCH.
type fetchWriter struct {
	s   *session
	b   *selected
	req *fetchRequest

	// What the command itself changed: flags of these messages, as they are in newest.
	changed event.UIDSet
	newest  view.List
	told    []state.Live // messages whose new flags were sent

	missing         bool  // data of an expunged message was asked for
	unknownEncoding bool  // of BINARY
	damaged         error // the first body that could not be read

	seq  int
	open bool // the response to the message has begun
}

// item begins a data item, and with the first one the response.
func (w *fetchWriter) item(name string) {
	if w.open {
		w.s.enc.SP()
	} else {
		w.s.enc.Raw("* ").Number(uint64(w.seq)).Raw(" FETCH (")
		w.open = true
	}
	w.s.enc.Raw(name)
}

// message writes the response to one message. An item that cannot be had is left out.
func (w *fetchWriter) message(row *fetchRow) {
	w.seq, w.open = row.seq, false
	w.state(row)
	switch {
	case row.found:
		c := content{b: w.b, row: row}
		w.record(&row.msg)
		if w.req.needsStructure() {
			w.structure(&c)
		}
	case w.req.needsRecord():
		w.missing = true
	}
	if w.open {
		w.s.enc.Raw(")\r\n")
	}
}

// state writes what the view knows. Flags that the command changed are written even if they were not asked for.
func (w *fetchWriter) state(row *fetchRow) {
	live, flags := row.live, w.req.flags
	if len(w.changed) > 0 {
		if now, ok := w.newest.Get(live.UID); ok {
			live = now
		}
		flags = flags || w.changed.Contains(live.UID)
	}
	enc := w.s.enc
	if w.req.uid || flags && !w.req.flags && (w.s.rev2 || w.s.qresync) {
		w.item("UID ")
		enc.Number(uint64(live.UID))
	}
	if flags {
		w.item("FLAGS ")
		enc.Raw(w.b.flagText(live))
		if live != row.live {
			w.told = append(w.told, live)
		}
	}
	if w.req.modseq || flags && w.s.condstore {
		w.item("MODSEQ (")
		enc.Number(live.Modseq).Byte(')')
	}
}

// settle notes in the view which flags were sent, so that they are not sent again as an update.
func (w *fetchWriter) settle() {
	if len(w.told) > 0 {
		w.b.told = w.b.told.Set(w.told...)
	}
}

// record writes what the message's record says.
func (w *fetchWriter) record(m *state.Message) {
	enc := w.s.enc
	if w.req.internalDate {
		w.item("INTERNALDATE ")
		enc.DateTime(time.Unix(m.InternalDate, 0).UTC())
	}
	if w.req.saveDate {
		w.item("SAVEDATE ")
		enc.DateTime(time.Unix(m.SaveDate, 0).UTC())
	}
	if w.req.size {
		w.item("RFC822.SIZE ")
		enc.Number(m.Size)
	}
	if w.req.email {
		w.item("EMAILID (")
		enc.Raw(emailID(m.GUID)).Byte(')')
	}
	if w.req.thread {
		w.item("THREADID NIL")
	}
}

// emailID names a message by its content (RFC 8474, section 5.1): the first half of its GUID. Copies have the same one.
func emailID(guid event.GUID) string { return "M" + guid.String()[:32] }

// structure writes what the parsed structure says, and sections.
func (w *fetchWriter) structure(c *content) {
	if w.req.envelope || w.req.body || w.req.bodyStructure {
		w.described(c)
	}
	for i := range w.req.sections {
		item := &w.req.sections[i]
		if item.size {
			w.binarySize(c, item)
		} else {
			w.section(c, item)
		}
	}
}

func (w *fetchWriter) described(c *content) {
	blob, err := c.blob()
	if err != nil {
		w.fail(err)
		return
	}
	for _, d := range [...]struct {
		wanted bool
		name   string
		get    func() ([]byte, error)
	}{
		{w.req.envelope, "ENVELOPE ", blob.Envelope},
		{w.req.body, "BODY ", blob.Body},
		{w.req.bodyStructure, "BODYSTRUCTURE ", blob.BodyStructure},
	} {
		if !d.wanted {
			continue
		}
		data, err := d.get()
		if err != nil {
			w.fail(err)
			continue
		}
		w.item(d.name)
		w.s.enc.RawBytes(data)
	}
}

func (w *fetchWriter) fail(err error) {
	if w.damaged == nil {
		w.damaged = err
	}
}
