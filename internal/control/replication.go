package control

import "time"

// Paths of the replication API.
const (
	PathChannels = "/v1/channels"        // GET: ChannelList. POST NewChannel: JoinToken
	PathChannel  = "/v1/channels/{name}" // PATCH ChangeChannel. DELETE
	PathPromote  = "/v1/promote"         // GET: PromotionPlan. POST PromoteRequest: lines, the last a Promotion
	PathDemote   = "/v1/demote"          // POST DemoteRequest: an empty object
	PathResync   = "/v1/resync"          // POST ResyncRequest: lines, the last a ResyncResult
	PathCompare  = "/v1/compare"         // POST CompareRequest: lines of MailboxDifference, the last a CompareResult
	PathDiff     = "/v1/diff"            // POST DiffRequest: lines of MessageDifference, the last a CompareResult
)

// Codes of errors of replication.
const (
	CodeDiffers    = "differs"     // two nodes do not hold the same
	CodeNotPrimary = "not_primary" // this node does not lead
)

// NewChannel is the request of POST PathChannels.
type NewChannel struct {
	Name    string `json:"name"`              // of the node that is to join
	Address string `json:"address,omitempty"` // where it reaches this node's channel listener; "": as configured, or as it listens
}

// JoinToken is what the other node is started with.
type JoinToken struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	Fingerprint string `json:"fingerprint"` // SHA-256 of this node's certificate
	Token       string `json:"token"`       // one line, secret
}

// ChangeChannel is the request of PATCH PathChannel; absent fields change nothing.
type ChangeChannel struct {
	Ack    *string `json:"ack,omitempty"` // "local" or "replica"
	Paused *bool   `json:"paused,omitempty"`
}

// ChannelList is the answer to GET PathChannels.
type ChannelList struct {
	Channels []Channel `json:"channels"`
}

// Channel is a link to another node.
type Channel struct {
	Name      string         `json:"name"`
	Joins     bool           `json:"joins"` // this node dials the other
	Address   string         `json:"address,omitempty"`
	Connected bool           `json:"connected"`
	Paused    bool           `json:"paused"`
	Ack       string         `json:"ack"` // "local" or "replica"
	LastSeen  time.Time      `json:"last_seen,omitzero"`
	Error     string         `json:"error,omitempty"`
	Sent      uint64         `json:"sent_bytes"`
	Received  uint64         `json:"received_bytes"`
	Shards    []ChannelShard `json:"shards,omitempty"`
}

// ChannelShard is how it stands with one shard at the other end of a channel, or on the way from there.
type ChannelShard struct {
	Name       string  `json:"name"` // of the other node
	Shard      int     `json:"shard"`
	Direction  string  `json:"direction"` // "send": the other node follows this one. "receive": this one follows it
	Role       string  `json:"role,omitempty"`
	State      string  `json:"state"` // "following", "disconnected", "paused", "connecting", "behind", "diverged", "needs-seed", "halted", "stalled", "idle"
	Reason     string  `json:"reason,omitempty"`
	Epoch      uint64  `json:"epoch"`
	Position   uint64  `json:"position"` // on stable storage at the receiving end
	Applied    uint64  `json:"applied,omitempty"`
	Digest     string  `json:"digest,omitempty"`
	LagEvents  uint64  `json:"lag_events"`
	LagBytes   uint64  `json:"lag_bytes"`
	LagSeconds float64 `json:"lag_seconds"` // since the commit of the oldest envelope that is missing
	Ack        string  `json:"ack"`
	// LastSeen is when something last came from the other node.
	LastSeen time.Time `json:"last_seen,omitzero"`
}

// PromotionPlan says what a promotion of this node would mean.
type PromotionPlan struct {
	Node    string          `json:"node"`
	Role    string          `json:"role"`
	Primary string          `json:"primary,omitempty"` // as far as this node knows
	Reached bool            `json:"reached"`           // the primary answers: the promotion can be planned
	Shards  []PromotedShard `json:"shards"`
}

// PromotedShard says what of a shard would be kept.
type PromotedShard struct {
	Shard       int       `json:"shard"`
	Epoch       uint64    `json:"epoch"`
	Position    uint64    `json:"position"` // of this node's log
	Hash        string    `json:"hash"`
	Time        time.Time `json:"time,omitzero"`          // commit time of its last envelope
	PrimaryHead uint64    `json:"primary_head"`           // the last that is known of the primary's log
	PrimaryAsOf time.Time `json:"primary_as_of,omitzero"` // and when that was learned
	Missing     uint64    `json:"missing"`                // envelopes that this node is known to lack
}

// PromoteRequest is the request of POST PathPromote.
type PromoteRequest struct {
	Force bool `json:"force"` // without the primary's consent: it is gone
}

// Promotion is the end of a promotion.
type Promotion struct {
	Node     string          `json:"node"`
	Previous string          `json:"previous,omitempty"` // the primary before
	Forced   bool            `json:"forced"`
	Seconds  float64         `json:"seconds"` // in which nothing could be written
	Shards   []PromotedShard `json:"shards"`  // with the new epochs
}

// DemoteRequest is the request of POST PathDemote: this node hands over to another.
type DemoteRequest struct {
	To string `json:"to"`
}

// ResyncRequest is the request of POST PathResync: this node's replicas are made anew from another node.
type ResyncRequest struct {
	From  string `json:"from,omitempty"` // "": the primary
	Shard *int   `json:"shard,omitempty"`
}

// ResyncResult is the end of a resync. The node opens its data directory again after it.
type ResyncResult struct {
	Shards []ResyncedShard `json:"shards"`
}

// ResyncedShard is a replica that was fetched.
type ResyncedShard struct {
	Shard    int     `json:"shard"`
	From     string  `json:"from"`
	Position uint64  `json:"position"`
	Bytes    uint64  `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Aside    string  `json:"aside,omitempty"` // directory of what was set aside
}

// CompareRequest is the request of POST PathCompare.
type CompareRequest struct {
	Node    string `json:"node"`
	Account string `json:"account,omitempty"`
	Deep    bool   `json:"deep"` // recompute what the nodes keep
}

// DiffRequest is the request of POST PathDiff.
type DiffRequest struct {
	Node    string `json:"node"`
	Account string `json:"account"`
}

// MailboxDifference is an account or a mailbox that the two nodes do not hold alike.
type MailboxDifference struct {
	Shard   int      `json:"shard"`
	Account string   `json:"account"`
	Mailbox string   `json:"mailbox,omitempty"`
	ID      string   `json:"id,omitempty"`
	Only    string   `json:"only,omitempty"`   // the node that alone has it
	Fields  []string `json:"fields,omitempty"` // what differs
}

// MessageDifference is a message that the two nodes do not hold alike.
type MessageDifference struct {
	Shard   int      `json:"shard"`
	Mailbox string   `json:"mailbox"`
	ID      string   `json:"id"`
	UID     uint32   `json:"uid"`
	GUID    string   `json:"guid,omitempty"`
	Only    string   `json:"only,omitempty"`
	Fields  []string `json:"fields,omitempty"`
}

// CompareResult is the end of a comparison.
type CompareResult struct {
	OK          bool            `json:"ok"`
	Node        string          `json:"node"`
	Against     string          `json:"against"`
	Shards      []ComparedShard `json:"shards"`
	Accounts    uint64          `json:"accounts"`
	Mailboxes   uint64          `json:"mailboxes"`
	Messages    uint64          `json:"messages"`
	Differences uint64          `json:"differences"`
	// Listed is filled in by the tool from the items.
	Listed []MailboxDifference `json:"listed,omitempty"`
	// Messages that differ, likewise, of a diff.
	ListedMessages []MessageDifference `json:"listed_messages,omitempty"`
}

// ComparedShard is where a shard stood when it was compared.
type ComparedShard struct {
	Shard    int    `json:"shard"`
	Position uint64 `json:"position"`
	Hash     string `json:"hash"`
	Digest   string `json:"digest"`
}
