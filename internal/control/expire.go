package control

import (
	"context"
	"net/http"
)

// PathExpire expunges what is over the limits of policies.
const PathExpire = "/v1/expire" // POST ExpireRequest: Expired each, then ExpireResult

// ExpireRequest is the request of POST PathExpire.
type ExpireRequest struct {
	Account string `json:"account,omitempty"` // "": all
	DryRun  bool   `json:"dry_run,omitempty"`
}

// Expired is what one limit expunged from a mailbox, or would.
type Expired struct {
	Account  string `json:"account"`
	Mailbox  string `json:"mailbox"`
	Policy   string `json:"policy"`
	Reason   string `json:"reason"` // age, messages, size
	Messages int    `json:"messages"`
	Bytes    uint64 `json:"bytes"`
}

// ExpireResult is the end of a run of the policies.
type ExpireResult struct {
	DryRun    bool    `json:"dry_run"`
	Policies  int     `json:"policies"`  // that have a limit
	Mailboxes int     `json:"mailboxes"` // with something over a limit
	Messages  int     `json:"messages"`
	Bytes     uint64  `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	// Expired is filled in by the tool from the items.
	Expired []Expired `json:"expired,omitempty"`
}

// Expire runs the policies once. each is told what they expunged from each mailbox, or would; both functions may be nil.
func (c *Client) Expire(ctx context.Context, req ExpireRequest, each func(Expired) error, progress func(Progress)) (ExpireResult, error) {
	return stream[Expired, ExpireResult](ctx, c, http.MethodPost, PathExpire, req, each, progress)
}
