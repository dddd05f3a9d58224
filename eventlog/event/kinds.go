package event

// Kind numbers the kinds of event. A shipped number never changes its meaning.
type Kind uint16

// The kinds of event.
const (
	KindEpochStarted  Kind = 1
	KindCheckpoint    Kind = 2
	KindBodiesDropped Kind = 3

	KindAccountCreated  Kind = 16
	KindCredentialSet   Kind = 17
	KindAccountDisabled Kind = 18
	KindAccountDeleted  Kind = 19
	KindNumbersSkipped  Kind = 20

	KindMailboxCreated  Kind = 32
	KindMailboxRenamed  Kind = 33
	KindMailboxDeleted  Kind = 34
	KindSubscriptionSet Kind = 35
	KindSpecialUseSet   Kind = 36
	KindRecentTaken     Kind = 37

	KindBodyChunk        Kind = 48
	KindMessagesAppended Kind = 49
	KindMessagesCopied   Kind = 50
	KindMessagesMoved    Kind = 51
	KindFlagsChanged     Kind = 52
	KindMessagesExpunged Kind = 53
)

// Event is one of the types of this file, by pointer.
//
//sumtype:decl
type Event interface {
	// Kind is the number under which the event is written.
	Kind() Kind
	// AccountName names the account whose data the event changes; "" for events of the whole shard.
	AccountName() string
	isEvent()
}

// EpochStarted is the first event of a new primary: it fences the one before.
type EpochStarted struct {
	Epoch uint64 `cbor:"1,keyasint"` // one above the epoch before
	Node  string `cbor:"2,keyasint"` // the node that is primary from here on
}

// Checkpoint states what every replica must have at this point.
type Checkpoint struct {
	Mailboxes uint64 `cbor:"1,keyasint"` // mailboxes in the shard
	Messages  uint64 `cbor:"2,keyasint"` // live messages in the shard
	Digest    uint64 `cbor:"3,keyasint"` // the state digest before this event (replica/state)
}

// BodiesDropped says that bodies which no message refers to are no longer known: a message that is to refer to one again needs its chunks before it.
type BodiesDropped struct {
	GUIDs []GUID `cbor:"1,keyasint"` // ascending, at most MaxDropped
}

// MaxDropped bounds the bodies of one BodiesDropped event.
const MaxDropped = 4096

// AccountCreated makes an account, without any mailbox.
type AccountCreated struct {
	Account    string     `cbor:"1,keyasint"`
	Credential Credential `cbor:"2,keyasint"`
}

// CredentialSet replaces an account's credential.
type CredentialSet struct {
	Account    string     `cbor:"1,keyasint"`
	Credential Credential `cbor:"2,keyasint"`
}

// AccountDisabled bars an account from logging in, or lets it in again. Mail is delivered to it either way.
type AccountDisabled struct {
	Account  string `cbor:"1,keyasint"`
	Disabled bool   `cbor:"2,keyasint"`
}

// AccountDeleted removes an account with all its mailboxes and subscriptions.
type AccountDeleted struct {
	Account string `cbor:"1,keyasint"`
}

// NumbersSkipped leaves out numbers that another future of this history may have given: what is given from here on lies above them.
// UIDNEXT and HIGHESTMODSEQ of mailboxes stay what they are until then.
type NumbersSkipped struct {
	Account     string `cbor:"1,keyasint"`
	Modseq      uint64 `cbor:"2,keyasint"` // the last one left out
	UIDValidity uint32 `cbor:"3,keyasint"` // the last one left out
	UIDs        uint32 `cbor:"4,keyasint"` // how many are left out in each mailbox, also in deleted ones
	Epoch       uint64 `cbor:"5,keyasint"` // the first epoch of this history that the other future knows nothing of
}

// MailboxCreated makes an empty mailbox.
type MailboxCreated struct {
	Account     string    `cbor:"1,keyasint"`
	Mailbox     MailboxID `cbor:"2,keyasint"`
	Name        string    `cbor:"3,keyasint"` // UTF-8, levels separated by "/", "INBOX" in capitals
	UIDValidity uint32    `cbor:"4,keyasint"` // above every UIDVALIDITY the account ever had, unless UIDNext is set, or below with Imported
	Modseq      uint64    `cbor:"5,keyasint"`
	SpecialUse  []string  `cbor:"6,keyasint,omitempty"` // attributes of RFC 6154, as "\Sent"
	// UIDNext says that a deleted mailbox comes back under its id and UIDVALIDITY: lower UIDs may have been given in it.
	UIDNext uint32 `cbor:"7,keyasint,omitempty"`
	// Imported says that the mailbox has the UIDVALIDITY that it had in another store: below every one the account ever had.
	Imported bool `cbor:"8,keyasint,omitempty"`
}

// MailboxRenamed gives new names to a mailbox and all that is below it, in one event.
type MailboxRenamed struct {
	Account string   `cbor:"1,keyasint"`
	Modseq  uint64   `cbor:"2,keyasint"`
	Renames []Rename `cbor:"3,keyasint"`
}

// Rename is the new name of one mailbox.
type Rename struct {
	Mailbox MailboxID `cbor:"1,keyasint"`
	Name    string    `cbor:"2,keyasint"`
}

// MailboxDeleted removes a mailbox and its messages; mailboxes below it stay.
type MailboxDeleted struct {
	Account string    `cbor:"1,keyasint"`
	Mailbox MailboxID `cbor:"2,keyasint"`
	Modseq  uint64    `cbor:"3,keyasint"`
}

// SubscriptionSet adds a name to the account's subscriptions or removes it. The mailbox need not exist.
type SubscriptionSet struct {
	Account    string `cbor:"1,keyasint"`
	Name       string `cbor:"2,keyasint"`
	Subscribed bool   `cbor:"3,keyasint"`
	Modseq     uint64 `cbor:"4,keyasint"`
}

// SpecialUseSet replaces the special-use attributes of a mailbox (RFC 6154).
type SpecialUseSet struct {
	Account    string    `cbor:"1,keyasint"`
	Mailbox    MailboxID `cbor:"2,keyasint"`
	SpecialUse []string  `cbor:"3,keyasint,omitempty"`
	Modseq     uint64    `cbor:"4,keyasint"`
}

// RecentTaken says that a session was told of all messages up to UID as \Recent (RFC 3501, section 2.3.2): no other will be.
type RecentTaken struct {
	Account string    `cbor:"1,keyasint"`
	Mailbox MailboxID `cbor:"2,keyasint"`
	UID     uint32    `cbor:"3,keyasint"`
}

// BodyChunk carries a piece of a message body. The chunks of one body come in order, without gaps; the last one ends at
// Stored and makes the body known, so that messages can refer to it. Chunks of several bodies may be interleaved.
type BodyChunk struct {
	GUID      GUID     `cbor:"1,keyasint"`
	Size      uint64   `cbor:"2,keyasint"` // bytes of the body as received
	Encoding  Encoding `cbor:"3,keyasint"`
	Stored    uint64   `cbor:"4,keyasint"` // bytes of the whole encoded body
	Offset    uint64   `cbor:"5,keyasint"` // where Data begins in the encoded body
	Data      []byte   `cbor:"6,keyasint"`
	Structure []byte   `cbor:"7,keyasint,omitempty"` // in the last chunk: the body's parsed structure (package message)
}

// MessagesAppended adds messages to a mailbox: one delivery, or all of one APPEND command.
type MessagesAppended struct {
	Account  string    `cbor:"1,keyasint"`
	Mailbox  MailboxID `cbor:"2,keyasint"`
	Modseq   uint64    `cbor:"3,keyasint"`
	Messages []Message `cbor:"4,keyasint"` // by ascending UID; may be none when there is a UIDNext
	// UIDNext, if not 0, is the mailbox's UIDNEXT from here on: that of the store which the mailbox comes from.
	UIDNext uint32 `cbor:"5,keyasint,omitempty"`
}

// Message is one message as it enters a mailbox. Its body is known by then.
type Message struct {
	UID          uint32   `cbor:"1,keyasint"`
	GUID         GUID     `cbor:"2,keyasint"`
	InternalDate int64    `cbor:"3,keyasint"` // seconds since 1970-01-01T00:00:00Z
	SaveDate     int64    `cbor:"4,keyasint"` // seconds since 1970-01-01T00:00:00Z (RFC 8514)
	Flags        []string `cbor:"5,keyasint,omitempty"`
}

// MessagesCopied puts copies of messages into a mailbox of the same shard: the n-th UID of SourceUIDs became FirstUID+n,
// with the flags it had. The copies' save date is SaveDate.
type MessagesCopied struct {
	Account    string    `cbor:"1,keyasint"` // of Dest
	Source     MailboxID `cbor:"2,keyasint"`
	SourceUIDs UIDSet    `cbor:"3,keyasint"`
	Dest       MailboxID `cbor:"4,keyasint"`
	FirstUID   uint32    `cbor:"5,keyasint"`
	Modseq     uint64    `cbor:"6,keyasint"` // of Dest
	SaveDate   int64     `cbor:"7,keyasint"`
}

// MessagesMoved is MessagesCopied and the expunge of the sources in one (RFC 6851). Both mailboxes are of Account.
type MessagesMoved struct {
	Account    string    `cbor:"1,keyasint"`
	Source     MailboxID `cbor:"2,keyasint"`
	SourceUIDs UIDSet    `cbor:"3,keyasint"`
	Dest       MailboxID `cbor:"4,keyasint"`
	FirstUID   uint32    `cbor:"5,keyasint"`
	Modseq     uint64    `cbor:"6,keyasint"` // of both mailboxes
	SaveDate   int64     `cbor:"7,keyasint"`
}

// FlagsChanged says which messages gained and lost which flags. Only messages that truly changed are named.
type FlagsChanged struct {
	Account string       `cbor:"1,keyasint"`
	Mailbox MailboxID    `cbor:"2,keyasint"`
	Modseq  uint64       `cbor:"3,keyasint"`
	Changes []FlagChange `cbor:"4,keyasint"` // of disjoint sets of UIDs
}

// FlagChange is one difference, shared by all of UIDs.
type FlagChange struct {
	UIDs   UIDSet   `cbor:"1,keyasint"`
	Add    []string `cbor:"2,keyasint,omitempty"`
	Remove []string `cbor:"3,keyasint,omitempty"`
}

// MessagesExpunged removes messages from a mailbox.
type MessagesExpunged struct {
	Account string    `cbor:"1,keyasint"`
	Mailbox MailboxID `cbor:"2,keyasint"`
	Modseq  uint64    `cbor:"3,keyasint"`
	UIDs    UIDSet    `cbor:"4,keyasint"`
}
