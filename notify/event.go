package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"angarium/eventlog"
	"angarium/eventlog/event"
)

// Schema is the version of the JSON form that this program writes (docs/events.schema.json). Within a version, parameters and events are only
// added.
const Schema = 1

// Event is one notification. Its JSON form is flat, with the parameter names of RFC 5423 and of Cyrus. An event that was handed out does
// not change.
type Event struct {
	Event     Name   `json:"event"`
	Schema    int    `json:"schema"`
	Timestamp string `json:"timestamp"` // when the change was decided, RFC 3339 in UTC with milliseconds
	Service   string `json:"service,omitempty"`
	User      string `json:"user"`            // the account whose mail changed, or who logged in
	Actor     string `json:"actor,omitempty"` // the account that did it, where that is another one
	URI       string `json:"uri"`             // of the mailbox or message (RFC 5092)

	*Origin // nil for Login and Logout, which are not in the log

	MailboxID    string   `json:"mailboxID,omitempty"`    // IMAP URL, as RFC 5423 has it
	OldMailboxID string   `json:"oldMailboxID,omitempty"` // likewise
	UniqueID     string   `json:"mailboxUniqueId,omitempty"`
	OldUniqueID  string   `json:"oldMailboxUniqueId,omitempty"`
	UIDSet       string   `json:"uidset,omitempty"`
	OldUIDSet    string   `json:"vnd.cmu.oldUidset,omitempty"`
	Modseq       uint64   `json:"modseq,omitempty"`
	*Counts               // of the mailbox after the change; nil where they are not known
	*OldCounts            // of the source of a MessageMove; nil with others, and where they are not known
	FlagNames    string   `json:"flagNames,omitempty"` // separated by blanks
	*Content              // nil but for MessageNew and MessageAppend
	MIDSet       []string `json:"vnd.cmu.midset,omitempty"` // Message-IDs, "NIL" for a message without one
	SessionID    string   `json:"vnd.cmu.sessionId,omitempty"`
	ClientIP     string   `json:"clientIP,omitempty"`
	ClientPort   int      `json:"clientPort,omitempty"`
	ServerDomain string   `json:"serverDomain,omitempty"` // Login and Logout
	ServerPort   int      `json:"serverPort,omitempty"`   // likewise
	Degraded     []string `json:"degraded,omitempty"`     // parameters that are left out, cut, or not those of this very position

	encoded []byte     // the JSON form
	box     *boxFacts  // what filters ask of the mailbox; nil when it is not known, or there is none
	guid    event.GUID // of the new message
}

// boxFacts is what filters ask of a mailbox.
type boxFacts struct {
	inbox      bool
	specialUse []string
}

// Origin is the place of an event in the log: an exact id that grows. No two events of a shard share it, and whoever projects the
// log gets the same events at the same places.
type Origin struct {
	Shard    int               `json:"shard"`
	Position eventlog.Position `json:"position"` // of the envelope
	Index    int               `json:"index"`    // among the events of the envelope, from 0
}

// Counts are the counters of a mailbox.
type Counts struct {
	UIDNext  uint32 `json:"uidnext"`
	Messages uint32 `json:"messages"`
	Unseen   uint32 `json:"vnd.cmu.unseenMessages"`
}

// OldCounts are the counters of the mailbox that messages were moved out of.
type OldCounts struct {
	OldMessages uint32 `json:"oldMailboxMessages"`
	OldUnseen   uint32 `json:"oldMailboxUnseenMessages"`
}

// Content is what an event tells of a new message.
type Content struct {
	MessageSize    uint64 `json:"messageSize"` // bytes as received
	EmailID        string `json:"vnd.cmu.emailid,omitempty"`
	Envelope       string `json:"vnd.cmu.envelope,omitempty"` // as in FETCH ENVELOPE
	BodyStructure  string `json:"bodyStructure,omitempty"`    // as in FETCH BODYSTRUCTURE
	MessageContent string `json:"messageContent,omitempty"`   // as Filter.Content asks for
}

// ID is the id of an event from the log: "shard:position:index". It is "" for an event of a session.
func (e *Event) ID() string {
	if e.Origin == nil {
		return ""
	}
	return e.Origin.ID()
}

// ID gives "shard:position:index".
func (o *Origin) ID() string {
	b := strconv.AppendInt(nil, int64(o.Shard), 10)
	b = strconv.AppendUint(append(b, ':'), uint64(o.Position), 10)
	return string(strconv.AppendInt(append(b, ':'), int64(o.Index), 10))
}

// ParseID reads what ID gave.
func ParseID(s string) (Origin, error) {
	parts := strings.Split(s, ":")
	if len(parts) == 3 {
		shard, err1 := strconv.ParseUint(parts[0], 10, 31)
		position, err2 := strconv.ParseUint(parts[1], 10, 64)
		index, err3 := strconv.ParseUint(parts[2], 10, 31)
		if err1 == nil && err2 == nil && err3 == nil {
			return Origin{Shard: int(shard), Position: eventlog.Position(position), Index: int(index)}, nil
		}
	}
	return Origin{}, fmt.Errorf("%q is no event id: want shard:position:index", s)
}

// JSON gives the event as one line of JSON without a line end. The caller must not change it.
func (e *Event) JSON() []byte {
	if e.encoded != nil {
		return e.encoded
	}
	return e.encode()
}

func (e *Event) encode() []byte {
	var buf bytes.Buffer
	buf.Grow(1024)
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	type plain Event
	_ = enc.Encode((*plain)(e)) // strings, numbers and lists of strings: nothing in it that cannot be encoded
	return bytes.TrimRight(buf.Bytes(), "\n")
}

// seal keeps the JSON form, before the event is shared.
func (e *Event) seal() { e.encoded = e.encode() }

// Small gives the event without what can be long, and marked: for a receiver that does not take it as it is.
func (e *Event) Small() *Event {
	small := *e
	small.Degraded = slices.Clone(e.Degraded)
	if e.Content != nil {
		c := *e.Content
		c.Envelope, c.BodyStructure, c.MessageContent = "", "", ""
		small.Content = &c
		small.degrade("vnd.cmu.envelope", "bodyStructure", "messageContent")
	}
	if len(small.FlagNames) > maxShortText {
		small.FlagNames = ""
		small.degrade("flagNames")
	}
	small.seal()
	return &small
}

// degrade marks parameters that are not what they would be.
func (e *Event) degrade(params ...string) {
	for _, p := range params {
		if !slices.Contains(e.Degraded, p) {
			e.Degraded = append(e.Degraded, p)
		}
	}
}
