package notify

import (
	"strings"

	"angarium/eventlog/event"
	"angarium/message"
)

func (w *projection) flagNames(n *Event, flags []string) {
	names := strings.Join(flags, " ")
	if len(names) > maxFlagNames {
		n.degrade("flagNames")
		return
	}
	n.FlagNames = names
}

// midset names the messages of an event by their Message-IDs, if they are few.
func (w *projection) midset(n *Event, id event.MailboxID, uids event.UIDSet) {
	if uids.Len() > maxMIDs {
		n.degrade("vnd.cmu.midset")
		return
	}
	set := make([]string, 0, uids.Len())
	for uid := range uids.All() {
		structure := w.view.message(id, uid)
		if structure == nil { // it has gone meanwhile
			n.degrade("vnd.cmu.midset")
			return
		}
		block, ok, err := message.Blob(structure).CachedHeaderFields([]string{messageIDField})
		mid, ok := messageID(block, ok && err == nil)
		if !ok {
			n.degrade("vnd.cmu.midset")
		}
		set = append(set, mid)
	}
	n.MIDSet = set
}

// describe tells of a new message what its structure says.
func (w *projection) describe(n *Event, guid event.GUID) {
	n.guid = guid
	n.Content = &Content{EmailID: emailID(guid)}
	size, structure := w.view.body(guid)
	if structure == nil {
		n.degrade("messageSize", "vnd.cmu.envelope", "bodyStructure", "vnd.cmu.midset")
		return
	}
	n.MessageSize = size
	blob := message.Blob(structure) // its parts are not needed, and not decoded
	truncated, err := blob.Truncated()
	if err != nil {
		n.degrade("vnd.cmu.envelope", "bodyStructure", "vnd.cmu.midset")
		return
	}
	envelope, _ := blob.Envelope() // none of these fails when one of them does not
	body, _ := blob.BodyStructure()
	n.Envelope = imapParam(n, "vnd.cmu.envelope", envelope, maxEnvelope)
	n.BodyStructure = imapParam(n, "bodyStructure", body, maxBodyStructure)
	if truncated {
		n.degrade("vnd.cmu.envelope", "bodyStructure")
	}
	fields, known, _ := blob.CachedHeaderFields([]string{messageIDField})
	mid, ok := messageID(fields, known)
	if !ok {
		n.degrade("vnd.cmu.midset")
	}
	n.MIDSet = []string{mid}
}

func imapParam(n *Event, param string, b []byte, limit int) string {
	s, ok := imapText(b, limit)
	if !ok {
		n.degrade(param)
	}
	return s
}
