package replica

import (
	"context"
	"fmt"

	"angarium/eventlog"
	"angarium/replica/state"
)

// CheckOptions says what Check looks at.
type CheckOptions struct {
	Deep     bool                     // read every body and compare it with its GUID
	Progress func(state.CheckSummary) // may be nil
}

// CheckResult is what Check looked at, and where in the log.
type CheckResult struct {
	state.CheckSummary
	Position eventlog.Position `json:"position"`
	Digest   uint64            `json:"digest"`
}

// Check looks at every invariant of the replica as it stands at one position, and calls report for each violation as it finds it.
// The replica goes on meanwhile.
func (r *Replica) Check(ctx context.Context, opts CheckOptions, report func(state.Violation)) (CheckResult, error) {
	defer r.pins.take()()
	snap := r.db.NewSnapshot()
	defer snap.Close()
	at, err := readPlace(snap)
	if err != nil {
		return CheckResult{}, fmt.Errorf("check: %w", err)
	}
	o := state.CheckOptions{Tick: func(sum state.CheckSummary) error {
		if opts.Progress != nil {
			opts.Progress(sum)
		}
		return ctx.Err()
	}}
	if opts.Deep {
		o.Body = r.checkBody
	}
	totals, err := state.GetTotals(reader{snap})
	if err != nil {
		return CheckResult{}, fmt.Errorf("check: %w", err)
	}
	sum, err := state.Check(reader{snap}, o, report)
	return CheckResult{sum, at.Position, totals.Digest}, err
}
