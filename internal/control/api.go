package control

import (
	"encoding/json"
	"time"

	"angarium/replica/state"
)

// Error is how a request failed. It is also an error.
type Error struct {
	Code    string `json:"code"` // one of the codes below
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // what a person can do about it
}

// Error implements error.
func (e *Error) Error() string {
	if e.Hint != "" {
		return e.Message + " (hint: " + e.Hint + ")"
	}
	return e.Message
}

// Codes of errors.
const (
	CodeUsage       = "usage"       // the request makes no sense
	CodeNotFound    = "not_found"   // no such account …
	CodeExists      = "exists"      // such an account is there already
	CodeUnavailable = "unavailable" // nothing can be written now
	CodeHalted      = "halted"      // a replica is halted
	CodeInternal    = "internal"
)

// Update is one line of a long answer.
type Update struct {
	Progress *Progress       `json:"progress,omitempty"`
	Item     json.RawMessage `json:"item,omitempty"`
	Done     json.RawMessage `json:"done,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// Progress is how far something is.
type Progress struct {
	What  string `json:"what"`  // "verify", "replay" …
	Done  uint64 `json:"done"`  // of Total
	Total uint64 `json:"total"` // 0: not known
	Unit  string `json:"unit"`  // "messages", "events", "bytes"
}

// Status is what a node says of itself.
type Status struct {
	Node    string        `json:"node"`
	Version string        `json:"version"`
	Started time.Time     `json:"started"`
	Online  bool          `json:"online"`  // a server runs; false: the data directory was opened by the tool
	Epoch   uint64        `json:"epoch"`   // the highest of the shards
	Primary string        `json:"primary"` // the node that leads, as far as this one knows; "" when none is known
	Shards  []ShardStatus `json:"shards"`
	// Alarms are what an operator should look at now.
	Alarms []string `json:"alarms,omitempty"`
	// Degraded is since when writes are acknowledged without the replicas that should have them; absent while they are not.
	Degraded time.Time `json:"degraded,omitzero"`
	// AcksWanted is how many replicas have to have each write before it is acknowledged, when this node leads, AcksPresent how many of
	// those that count follow it now.
	AcksWanted  int `json:"acks_wanted,omitempty"`
	AcksPresent int `json:"acks_present,omitempty"`
	// Healed counts what was damaged on this node and is whole again by another node's copy.
	Healed Healed `json:"healed,omitzero"`
	// Scrub is how far the reading of all that is stored is; absent while no server runs.
	Scrub *ScrubStatus `json:"scrub,omitempty"`
	// Sessions counts connections by service.
	Sessions map[string]int `json:"sessions,omitempty"`
}

// Healed counts what was damaged on a node and is whole again, since its data directory was made.
type Healed struct {
	Envelopes uint64 `json:"envelopes"` // of logs
	Bodies    uint64 `json:"bodies"`
}

// ShardStatus is the state of one shard on a node.
type ShardStatus struct {
	Shard        int     `json:"shard"`
	Role         string  `json:"role"`             // "primary", "replica"
	State        string  `json:"state"`            // "serving", "following", "stalled", "halted", "stopped", "starting"
	Reason       string  `json:"reason,omitempty"` // why it is stalled or halted
	HaltPosition uint64  `json:"halt_position,omitempty"`
	Epoch        uint64  `json:"epoch"`
	Position     uint64  `json:"position"` // the log's head
	Applied      uint64  `json:"applied"`
	FirstHeld    uint64  `json:"first"`     // the oldest position the log holds
	HeadHash     string  `json:"head_hash"` // of the last envelope applied
	NextIndex    uint64  `json:"next_index"`
	Digest       string  `json:"digest"` // of the state, 16 hex digits
	Mailboxes    uint64  `json:"mailboxes"`
	Messages     uint64  `json:"messages"`
	BodyBytes    uint64  `json:"body_bytes"`
	LagSeconds   float64 `json:"lag_seconds"` // 0 when all is applied
	// Primary is the node that leads this shard, in a cluster.
	Primary string `json:"primary,omitempty"`
	// Channels are the other nodes that follow this shard here, or that it is followed from.
	Channels []ChannelShard `json:"channels,omitempty"`
	// Archive is how the copying to the archive does; absent without one.
	Archive *ArchiveStatus `json:"archive,omitempty"`
}

// Account is an account as an operator sees it.
type Account struct {
	Name      string    `json:"name"`
	Disabled  bool      `json:"disabled"`
	Created   time.Time `json:"created"`
	Mailboxes int       `json:"mailboxes"`
	Messages  uint64    `json:"messages"`
	Unseen    uint64    `json:"unseen"`
	Bytes     uint64    `json:"bytes"`
	Shard     int       `json:"shard"`
	// Boxes are given for one account only, not in lists.
	Boxes []Mailbox `json:"boxes,omitempty"`
}

// Mailbox is a mailbox as an operator sees it.
type Mailbox struct {
	Name          string   `json:"name"`
	ID            string   `json:"id"`
	UIDValidity   uint32   `json:"uidvalidity"`
	UIDNext       uint32   `json:"uidnext"`
	HighestModseq uint64   `json:"highestmodseq"`
	Messages      uint32   `json:"messages"`
	Unseen        uint32   `json:"unseen"`
	Bytes         uint64   `json:"bytes"`
	SpecialUse    []string `json:"special_use,omitempty"`
}

// AccountList is the answer to GET PathAccounts.
type AccountList struct {
	Accounts []Account `json:"accounts"`
}

// NewAccount is one account to add.
type NewAccount struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// AddAccounts is the request of POST PathAccounts.
type AddAccounts struct {
	Accounts []NewAccount `json:"accounts"`
}

// AccountResult is what became of one account of AddAccounts.
type AccountResult struct {
	Name  string `json:"name"` // canonical where the name could be read
	OK    bool   `json:"ok"`
	Error *Error `json:"error,omitempty"`
}

// ChangeAccount is the request of PATCH PathAccount; absent fields change nothing.
type ChangeAccount struct {
	Password *string `json:"password,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
}

// VerifyRequest is the request of POST PathVerify.
type VerifyRequest struct {
	Deep bool `json:"deep"`
}

// VerifyResult is the end of a verification.
type VerifyResult struct {
	OK         bool              `json:"ok"`
	Accounts   uint64            `json:"accounts"`
	Mailboxes  uint64            `json:"mailboxes"`
	Messages   uint64            `json:"messages"`
	Bodies     uint64            `json:"bodies"`
	Bytes      uint64            `json:"bytes"`
	Envelopes  uint64            `json:"envelopes"` // of the log, with deep
	Violations uint64            `json:"violations"`
	Shards     []VerifiedShard   `json:"shards"`
	Listed     []state.Violation `json:"listed,omitempty"` // filled in by the tool from the items
}

// VerifiedShard is where a shard stood when it was verified.
type VerifiedShard struct {
	Shard    int    `json:"shard"`
	Position uint64 `json:"position"`
	Digest   string `json:"digest"`
}

// LogEvent is one event of the log, decoded. Bodies are left out; their sizes are told.
type LogEvent struct {
	Shard    int             `json:"shard"`
	Position uint64          `json:"position"`
	Index    uint64          `json:"index"`
	Epoch    uint64          `json:"epoch"`
	Time     time.Time       `json:"time"`
	Kind     string          `json:"kind"`
	Account  string          `json:"account,omitempty"`
	Actor    string          `json:"actor,omitempty"`
	Service  string          `json:"service,omitempty"`
	Session  string          `json:"session,omitempty"`
	Client   string          `json:"client,omitempty"`
	Event    json.RawMessage `json:"event"`
}

// LogStat sums up a log.
type LogStat struct {
	Shard     int               `json:"shard"`
	First     uint64            `json:"first"`
	Last      uint64            `json:"last"`
	Envelopes uint64            `json:"envelopes"`
	Events    uint64            `json:"events"`
	Bytes     uint64            `json:"bytes"`
	From      time.Time         `json:"from"`
	To        time.Time         `json:"to"`
	Kinds     map[string]uint64 `json:"kinds"`
}

// RebuildRequest is the request of POST PathRebuild.
type RebuildRequest struct {
	Shard *int `json:"shard,omitempty"` // nil: all
}

// RebuildResult is the end of a rebuild.
type RebuildResult struct {
	Shards []RebuiltShard `json:"shards"`
}

// RebuiltShard compares a rebuilt replica with the one it replaces.
type RebuiltShard struct {
	Shard     int     `json:"shard"`
	Position  uint64  `json:"position"`
	Events    uint64  `json:"events"`
	Seconds   float64 `json:"seconds"`
	Digest    string  `json:"digest"`
	OldDigest string  `json:"old_digest,omitempty"` // at the same position; empty when the old replica could not be read
	Same      bool    `json:"same"`
}
