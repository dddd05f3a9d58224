package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/replica/state"
)

// The kinds of finding.
const (
	FindingDamaged = "damaged" // the bytes of an object are not those that were written
	FindingMissing = "missing" // an object, or a position between two segments, is not there
	FindingChain   = "chain"   // an envelope does not continue the one before it
	FindingIndex   = "index"   // an index does not say what its segment holds
	FindingBody    = "body"    // a body is not what its GUID says, or a snapshot's is not there
	FindingState   = "state"   // what folding the archive gives is not what it should be
	FindingUnknown = "unknown" // an object that is not of an archive, or not complete; it does no harm
)

// Finding is one thing that Verify found.
type Finding struct {
	Kind     string            `json:"kind"`
	Shard    int               `json:"shard"`
	Object   string            `json:"object,omitempty"`
	Position eventlog.Position `json:"position,omitempty"` // the first one concerned, where that is known
	Detail   string            `json:"detail"`
}

// String is the finding on one line.
func (f Finding) String() string {
	s := fmt.Sprintf("%s shard=%d", f.Kind, f.Shard)
	if f.Object != "" {
		s += " object=" + f.Object
	}
	if f.Position > 0 {
		s += fmt.Sprintf(" position=%d", f.Position)
	}
	return s + ": " + f.Detail
}

// Harmless says that the finding is no fault of the archive.
func (f Finding) Harmless() bool { return f.Kind == FindingUnknown }

// Scratch is an empty replica that Verify folds a shard into.
type Scratch interface {
	Replica
	Reader() state.Reader
}

// Digest is the digest of a shard's state at a position.
type Digest struct {
	Position eventlog.Position
	Digest   uint64
}

// VerifyOptions says what to look at beside every checksum, the whole chain and every body. Zero values leave it out.
type VerifyOptions struct {
	// Scratch gives a replica to fold a shard into, and what gives it back. Every Checkpoint in the log is compared on the way.
	Scratch func(shard int) (Scratch, func() error, error)
	// Live gives the digest of the live store of a shard at some position, which the fold is compared with; false for none.
	Live     func(shard int) (Digest, bool)
	Report   func(Finding)        // called for each finding as it is found; may be nil
	Progress func(VerifyProgress) // may be nil
}

// VerifyProgress says how far Verify is.
type VerifyProgress struct {
	Objects, OfObjects int
	Bytes              int64
}

// VerifyResult sums up what Verify looked at.
type VerifyResult struct {
	Objects   int    `json:"objects"`
	Bytes     int64  `json:"bytes"` // of objects
	Envelopes uint64 `json:"envelopes"`
	Events    uint64 `json:"events"`
	Bodies    uint64 `json:"bodies"`
	Snapshots int    `json:"snapshots"`
	Faults    int    `json:"faults"`   // findings that are not harmless
	Harmless  int    `json:"harmless"` // findings that are
	Folded    uint64 `json:"folded_events"`
}

// Verify reads the whole archive and reports whatever is wrong with it. The error is for a check that could not be carried out.
func (a *Archive) Verify(ctx context.Context, opts VerifyOptions) (VerifyResult, error) {
	v := &verifier{a: a, opts: opts}
	for n := range a.shards {
		s, err := a.Shard(ctx, n)
		if err != nil {
			return v.res, err
		}
		if err := v.shard(ctx, s); err != nil {
			return v.res, fmt.Errorf("verify shard %d of the archive: %w", n, err)
		}
	}
	list, err := a.target.List(ctx, "")
	if err != nil {
		return v.res, err
	}
	for _, info := range list {
		if n, ok := shardOf(info.Name); info.Name != manifestName && (!ok || n < 0 || n >= a.shards) {
			v.report(Finding{Kind: FindingUnknown, Object: info.Name, Detail: "it is not of this archive"})
		}
	}
	return v.res, nil
}

type verifier struct {
	a    *Archive
	opts VerifyOptions
	res  VerifyResult
	s    *Shard
	sick map[string]bool // objects with findings
	g    *Gatherer
	have map[event.GUID]eventlog.Position // complete bodies, and from where on
}

func (v *verifier) report(f Finding) {
	if f.Harmless() {
		v.res.Harmless++
	} else {
		v.res.Faults++
		v.sick[f.Object] = true
	}
	if v.opts.Report != nil {
		v.opts.Report(f)
	}
}

// found reports what is wrong with an object; an error that is not of the object is returned.
func (v *verifier) found(n named, err error) error {
	f := Finding{Kind: FindingDamaged, Shard: v.s.number, Object: n.Name, Position: n.first, Detail: ""}
	var chain *eventlog.ChainError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errBody):
		f.Kind = FindingBody
	case errors.As(err, &chain) && !errors.Is(err, ErrDamaged):
		f.Kind, f.Position = FindingChain, chain.Position
	case !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrKey):
		return err
	}
	f.Detail = err.Error()
	v.report(f)
	return nil
}

func (v *verifier) shard(ctx context.Context, s *Shard) error {
	v.s, v.sick, v.have = s, map[string]bool{}, map[event.GUID]eventlog.Position{}
	var err error
	if v.g, err = NewGatherer(); err != nil {
		return err
	}
	for _, info := range s.cat.unknown {
		v.report(Finding{Kind: FindingUnknown, Shard: s.number, Object: info.Name, Detail: "its name is not one of an archive"})
	}
	logs := slices.Concat(s.cat.packs, s.cat.segments)
	slices.SortStableFunc(logs, func(a, b named) int { return cmp.Compare(a.first, b.first) })
	total := len(logs) + len(s.cat.rows) + len(s.cat.snapshots)
	done := 0
	tick := func(n named) {
		done++
		v.res.Objects++
		v.res.Bytes += n.Size
		if v.opts.Progress != nil {
			v.opts.Progress(VerifyProgress{Objects: done, OfObjects: total, Bytes: v.res.Bytes})
		}
	}
	for _, n := range logs {
		if err := v.found(n, v.log(ctx, n)); err != nil {
			return err
		}
		tick(n)
	}
	if err := v.links(ctx); err != nil {
		return err
	}
	used := map[string]bool{}
	for _, n := range s.cat.snapshots {
		if err := v.found(n, v.snapshot(ctx, n, used)); err != nil {
			return err
		}
		tick(n)
	}
	for _, n := range s.cat.rows {
		if !used[n.Name] {
			v.report(Finding{Kind: FindingUnknown, Shard: s.number, Object: n.Name, Detail: "rows of a snapshot that was not completed"})
		}
		tick(n)
	}
	return v.fold(ctx)
}
