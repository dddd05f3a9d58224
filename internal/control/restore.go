package control

import (
	"encoding/json"
	"time"
)

// RestoreRequest is the request of POST PathRestore. Points are positions, or times in RFC 3339.
type RestoreRequest struct {
	Archive  ArchiveRef `json:"archive,omitzero"`
	Account  string     `json:"account,omitempty"` // "": all
	Mailbox  string     `json:"mailbox,omitempty"`
	At       string     `json:"at,omitempty"`
	Until    string     `json:"until,omitempty"` // with Expunged
	Only     []string   `json:"only,omitempty"`
	Into     string     `json:"into,omitempty"`
	Exact    bool       `json:"exact,omitempty"`
	Expunged bool       `json:"expunged,omitempty"` // what was expunged between At and Until
	UIDs     string     `json:"uids,omitempty"`     // with Expunged: of these only
	Deleted  bool       `json:"deleted,omitempty"`  // Mailbox as it was before it was last deleted
	DryRun   bool       `json:"dry_run,omitempty"`
	By       Caller     `json:"by,omitzero"`
}

// Caller is who asked for something, for the history. Whoever reaches the control socket can do anything, so it is taken at its word.
type Caller struct {
	User    string `json:"user,omitempty"`    // of the operating system
	Command string `json:"command,omitempty"` // as it was typed
}

// RestoreCounts sums a plan up.
type RestoreCounts struct {
	Mailboxes     int `json:"mailboxes"` // made or renamed
	Deleted       int `json:"deleted"`   // mailboxes
	Messages      int `json:"messages"`  // brought back
	Flags         int `json:"flags"`     // messages whose flags are set back
	Expunged      int `json:"expunged"`  // messages taken away
	Subscriptions int `json:"subscriptions"`
	SpecialUses   int `json:"special_uses"`
	Accounts      int `json:"accounts"` // made
}

// Add adds another plan's counts.
func (c *RestoreCounts) Add(o RestoreCounts) {
	c.Mailboxes += o.Mailboxes
	c.Deleted += o.Deleted
	c.Messages += o.Messages
	c.Flags += o.Flags
	c.Expunged += o.Expunged
	c.Subscriptions += o.Subscriptions
	c.SpecialUses += o.SpecialUses
	c.Accounts += o.Accounts
}

// RestorePlan is what a restore does to one account. Accounts for which there is nothing to do have none.
type RestorePlan struct {
	Account  string        `json:"account"`
	Shard    int           `json:"shard"`
	Position uint64        `json:"position"`       // the point
	Time     string        `json:"time,omitempty"` // as it was asked for
	Counts   RestoreCounts `json:"counts"`
	Steps    []RestoreStep `json:"steps"`
	Undone   []UndoneEvent `json:"undone"` // the latest thousand at most
	Undoes   int           `json:"undoes"` // how many there are
}

// RestoreStep is one thing to do.
type RestoreStep struct {
	Op         string   `json:"op"`
	Mailbox    string   `json:"mailbox,omitempty"`
	To         string   `json:"to,omitempty"`
	SpecialUse []string `json:"special_use,omitempty"`
	Flags      []string `json:"flags,omitempty"`
	Messages   int      `json:"messages,omitempty"`
	UIDs       string   `json:"uids,omitempty"`
}

// UndoneEvent is an event that a restore undoes.
type UndoneEvent struct {
	Position uint64    `json:"position"`
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`
	Mailbox  string    `json:"mailbox,omitempty"`
	Messages int       `json:"messages,omitempty"`
	Actor    string    `json:"actor,omitempty"`
	Service  string    `json:"service,omitempty"`
	Session  string    `json:"session,omitempty"`
	Client   string    `json:"client,omitempty"`
	Detail   string    `json:"detail,omitempty"`
}

// RestoreResult is the end of a restore.
type RestoreResult struct {
	DryRun   bool          `json:"dry_run"`
	Accounts int           `json:"accounts"` // with something to do
	Counts   RestoreCounts `json:"counts"`   // done, or to be done
	Undoes   int           `json:"undoes"`   // events
	// Missing are the GUIDs of messages whose bodies are nowhere any more, a thousand at most.
	Missing []string `json:"missing,omitempty"`
	Seconds float64  `json:"seconds"`
	// ArchiveBytes is what was read of the archive.
	ArchiveBytes int64 `json:"archive_bytes"`
	// Plans is filled in by the tool from the items.
	Plans []RestorePlan `json:"plans,omitempty"`
}

// HistoryRequest is the request of POST PathHistory.
type HistoryRequest struct {
	Archive ArchiveRef `json:"archive,omitzero"`
	Account string     `json:"account"`
	Mailbox string     `json:"mailbox,omitempty"`
	Message string     `json:"message,omitempty"` // GUID, UID in Mailbox, or Message-ID
	From    string     `json:"from,omitempty"`    // points
	To      string     `json:"to,omitempty"`
}

// HistoryEvent is one line of a history.
type HistoryEvent struct {
	UndoneEvent
	Index uint64 `json:"index"` // global index of the event
}

// RecallRequest is the request of POST PathRecall.
type RecallRequest struct {
	MessageID string   `json:"message_id"`
	Accounts  []string `json:"accounts,omitempty"` // none: all
	DryRun    bool     `json:"dry_run,omitempty"`
	By        Caller   `json:"by,omitzero"`
}

// RecallResult is what a recall did, or would do.
type RecallResult struct {
	DryRun   bool              `json:"dry_run"`
	Messages int               `json:"messages"`
	Found    []RecalledMessage `json:"found"`
}

// RecalledMessage is where copies of a message are, or were.
type RecalledMessage struct {
	Account  string   `json:"account"`
	Mailbox  string   `json:"mailbox"`
	UIDs     string   `json:"uids"`
	Messages int      `json:"messages"`
	GUIDs    []string `json:"guids"`
}

// RecoverResult is the end of a recovery: a store in a new data directory.
type RecoverResult struct {
	Target  string           `json:"target"`
	Data    string           `json:"data"`
	Shards  []RecoveredShard `json:"shards"`
	Seconds float64          `json:"seconds"`
}

// RecoveredShard is a shard of a recovery.
type RecoveredShard struct {
	Shard     int     `json:"shard"`
	Position  uint64  `json:"position"`
	First     uint64  `json:"first"` // where its new log begins
	Envelopes uint64  `json:"envelopes"`
	Events    uint64  `json:"events"`
	Bytes     uint64  `json:"bytes"`
	Mailboxes uint64  `json:"mailboxes"`
	Messages  uint64  `json:"messages"`
	Digest    string  `json:"digest"`
	Seconds   float64 `json:"seconds"`
}

// Recoded turns a value into another with the same JSON.
func Recoded[T any](v any) (T, error) {
	var out T
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, err
}
