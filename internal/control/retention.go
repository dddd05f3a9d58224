package control

import (
	"context"
	"net/http"
	"time"
)

// Paths of what keeps the log and the bodies from growing for good.
const (
	PathPurge   = "/v1/purge"   // POST PurgeRequest: lines of Update[struct{}], Done is PurgeResult
	PathCompact = "/v1/compact" // POST CompactRequest: lines of Update[struct{}], Done is CompactResult
)

// PurgeRequest asks for what of the logs is older than the configuration keeps it to be purged.
type PurgeRequest struct {
	DryRun bool `json:"dry_run,omitempty"`
}

// PurgeResult is what was purged, or would be.
type PurgeResult struct {
	DryRun bool          `json:"dry_run"`
	Shards []PurgedShard `json:"shards"`
}

// PurgedShard is the log of one shard.
type PurgedShard struct {
	Shard     int       `json:"shard"`
	First     uint64    `json:"first"`      // where the log began
	FirstTime time.Time `json:"first_time"` // when that was committed
	Last      uint64    `json:"last"`
	Before    uint64    `json:"before"` // what is before this position was purged, or can be
	Purged    uint64    `json:"purged"` // positions
	Holds     []Hold    `json:"holds"`  // what the log is kept for, the least position first
}

// Hold is something that the log is kept for.
type Hold struct {
	Kind     string `json:"kind"` // "retain", "replica", "peer", "archive", "receiver", "salvage"
	Name     string `json:"name,omitempty"`
	Position uint64 `json:"position"` // the log is kept from here on
	Detail   string `json:"detail,omitempty"`
}

// CompactRequest asks for bodies that had no message for long enough to be dropped, and for their disk space.
type CompactRequest struct {
	DryRun bool `json:"dry_run,omitempty"`
}

// CompactResult is what was given back, or could be.
type CompactResult struct {
	DryRun bool             `json:"dry_run"`
	Shards []CompactedShard `json:"shards"`
}

// CompactedShard is what became of the bodies of one shard.
type CompactedShard struct {
	Shard    int     `json:"shard"`
	Waiting  int     `json:"waiting"`  // bodies without messages that are kept yet
	Dropped  int     `json:"dropped"`  // bodies, now
	Segments uint64  `json:"segments"` // that were removed; in a dry run, that would be
	Moved    uint64  `json:"moved"`    // bytes that were written anew
	Freed    uint64  `json:"freed"`    // bytes of the segments removed; in a dry run, garbage in them
	Damaged  uint64  `json:"damaged"`  // segments left alone because a body in them cannot be read
	Held     bool    `json:"held"`     // what is still being read from is removed later
	Before   BodyUse `json:"before"`
	After    BodyUse `json:"after"`
}

// BodyUse is what segments of bodies take, in bytes.
type BodyUse struct {
	Bytes   uint64 `json:"bytes"`
	Live    uint64 `json:"live"`
	Garbage uint64 `json:"garbage"`
}

// Retention is what a shard keeps, and why.
type Retention struct {
	Log     PurgedShard     `json:"log"`    // as of a dry run
	Reason  string          `json:"reason"` // why nothing is purged; empty when it is
	Bodies  BodyUse         `json:"bodies"`
	Waiting int             `json:"waiting"` // bodies without messages that are kept yet
	Oldest  time.Time       `json:"oldest"`  // since when the first of them has none; zero for none
	Running *CompactedShard `json:"running,omitempty"`
}

// Purge purges logs. progress may be nil.
func (c *Client) Purge(ctx context.Context, req PurgeRequest, progress func(Progress)) (PurgeResult, error) {
	return stream[struct{}, PurgeResult](ctx, c, http.MethodPost, PathPurge, req, nil, progress)
}

// Compact gives disk space of bodies back. progress may be nil.
func (c *Client) Compact(ctx context.Context, req CompactRequest, progress func(Progress)) (CompactResult, error) {
	return stream[struct{}, CompactResult](ctx, c, http.MethodPost, PathCompact, req, nil, progress)
}
