package control

import (
	"encoding/json"
	"time"
)

// Paths of the API of notification.
const (
	PathNotify    = "/v1/notify"           // GET: NotifyStatus
	PathWatch     = "/v1/watch"            // POST WatchRequest: lines of events (docs/events.md), the last an empty object
	PathConsumers = "/v1/consumers"        // GET: ConsumerList. POST NewConsumer: Credentials
	PathConsumer  = "/v1/consumers/{name}" // DELETE
)

// CodeHistory says that events are no longer there.
const CodeHistory = "history"

// NotifyStatus is how the receivers of events do.
type NotifyStatus struct {
	Address   string       `json:"address,omitempty"` // of the NATS listener
	Connected int          `json:"connected"`         // consumers at present
	Sinks     []SinkStatus `json:"sinks"`
}

// SinkStatus is how a receiver does.
type SinkStatus struct {
	Name         string            `json:"name"`
	Kind         string            `json:"kind"`
	State        string            `json:"state"` // "stopped", "following", "failing"
	Error        string            `json:"error,omitempty"`
	Positions    map[string]uint64 `json:"positions"` // by shard: what comes next
	Behind       uint64            `json:"behind"`    // positions not delivered yet
	Delivered    uint64            `json:"delivered"`
	DeadLettered uint64            `json:"dead_lettered"`
	Lost         uint64            `json:"lost"`
	Time         time.Time         `json:"time,omitzero"` // commit time of what was delivered last
}

// WatchRequest asks for events.
type WatchRequest struct {
	// Since is where to begin: a position in all shards (inclusive), ids "shard:position:index" of events, one for each shard and separated by commas (behind
	// them; a shard that none names begins at the time of the earliest), a time in RFC 3339, or a time ago, as "-2h"; "": now.
	Since    string   `json:"since,omitempty"`
	Accounts []string `json:"accounts,omitempty"`
	Events   []string `json:"events,omitempty"` // names, as "MessageNew"
	Groups   []string `json:"groups,omitempty"`
	Once     bool     `json:"once,omitempty"` // end with what is there
}

// NewConsumer is the request of POST PathConsumers.
type NewConsumer struct {
	Name    string `json:"name"`
	Account string `json:"account,omitempty"` // whose events may be read; "": all
}

// Credentials are what a consumer connects with: the text of a NATS credentials file.
type Credentials struct {
	Name    string `json:"name"`
	Account string `json:"account,omitempty"`
	Creds   string `json:"creds"`
}

// ConsumerList is the answer to GET PathConsumers.
type ConsumerList struct {
	Consumers []Consumer `json:"consumers"`
}

// Consumer is a holder of credentials.
type Consumer struct {
	Name    string    `json:"name"`
	Account string    `json:"account,omitempty"`
	Created time.Time `json:"created"`
}

// WatchedEvent is one event, as docs/events.md has it.
type WatchedEvent = json.RawMessage
