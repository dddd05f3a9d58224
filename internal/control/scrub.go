package control

import (
	"context"
	"net/http"
	"time"
)

// PathScrub is where a pass over all that is stored is begun: POST ScrubRequest: lines of ScrubFinding, the last a ScrubStatus.
const PathScrub = "/v1/scrub"

// ScrubRequest is the request of POST PathScrub: a pass begins now, or the one that runs is watched.
type ScrubRequest struct {
	// FullSpeed reads as fast as the disk gives, and not at the configured rate.
	FullSpeed bool `json:"full_speed,omitempty"`
	// Background does not wait for the end.
	Background bool `json:"background,omitempty"`
}

// ScrubFinding is one thing that a pass found damaged.
type ScrubFinding struct {
	Shard  int    `json:"shard"`
	Kind   string `json:"kind"` // "log", "body", or the kind of a violation in the index
	Detail string `json:"detail"`
	Healed bool   `json:"healed"`
}

// ScrubStatus is how far the reading of all that is stored is, and what came of the last whole pass.
type ScrubStatus struct {
	State    string    `json:"state"`            // "idle", "running", "off": only when it is asked for
	Stage    string    `json:"stage,omitempty"`  // of a running pass: "log", "bodies", "index"
	Shard    int       `json:"shard"`            // which it is at
	Done     uint64    `json:"done"`             // of the stage
	Total    uint64    `json:"total"`            // of the stage
	Unit     string    `json:"unit,omitempty"`   // "envelopes", "bytes", "mailboxes"
	Started  time.Time `json:"started,omitzero"` // the pass that runs
	Bytes    uint64    `json:"bytes"`            // read in it, or in the last one
	LastPass time.Time `json:"last_pass,omitzero"`
	Age      float64   `json:"age_seconds"` // since the end of the last whole pass; 0 without one
	Found    uint64    `json:"found"`       // damaged in the running pass, or in the last one
	Healed   uint64    `json:"healed"`      // of these
	// Findings are those that are not healed, the first hundred.
	Findings []ScrubFinding `json:"findings,omitempty"`
}

// Scrub begins a pass over all that is stored, or watches the one that runs, to its end. each is told what is found; it and progress may be
// nil.
func (c *Client) Scrub(ctx context.Context, req ScrubRequest, each func(ScrubFinding) error, progress func(Progress)) (ScrubStatus, error) {
	return stream[ScrubFinding, ScrubStatus](ctx, c, http.MethodPost, PathScrub, req, each, progress)
}
