package archive

import (
	"context"
	"errors"
	"fmt"

	"angarium/replica/state"
)

// links checks that the segments follow one another, from the oldest to the newest.
func (v *verifier) links(ctx context.Context) error {
	s := v.s
	_, last := s.cat.head()
	from, _ := s.cat.head()
	var before *object
	for from > 0 && from <= last {
		list, next := s.cat.chain(from)
		for _, n := range list {
			o, err := s.open(ctx, n, kindSegment)
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					return err
				}
				before = nil // it was reported
				continue
			}
			if before != nil && before.foot.Last+1 == o.foot.First && before.foot.after() != o.foot.before() {
				v.report(Finding{Kind: FindingChain, Shard: s.number, Object: n.Name, Position: n.first, Detail: "it does not continue " + before.name.Name})
			}
			before = o
		}
		if next > last {
			break
		}
		resume := last
		for _, n := range s.cat.segments {
			if n.first > next {
				resume = min(resume, n.first)
			}
		}
		v.report(Finding{Kind: FindingMissing, Shard: s.number, Position: next, Detail: fmt.Sprintf("positions %d to %d are in no segment", next, resume-1)})
		from, before = resume, nil
	}
	return v.origin(ctx)
}

// origin checks that there is something to begin with where the segments do not begin with the first position.
func (v *verifier) origin(ctx context.Context) error {
	first, last := v.s.cat.head()
	if first <= 1 {
		return nil
	}
	p, err := v.s.SnapshotUpTo(ctx, last)
	if err != nil && !errors.Is(err, ErrMissing) {
		return err
	}
	if err != nil || p.At().Position < first-1 {
		v.report(Finding{
			Kind: FindingMissing, Shard: v.s.number, Position: 1,
			Detail: fmt.Sprintf("the segments begin at %d, and there is no snapshot there or later", first),
		})
	}
	return nil
}

// fold folds the shard, and compares digests.
func (v *verifier) fold(ctx context.Context) (err error) {
	if v.opts.Scratch == nil {
		return nil
	}
	if _, last := v.s.cat.head(); last == 0 {
		return nil
	}
	scratch, release, err := v.opts.Scratch(v.s.number)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	live, compare := Digest{}, false
	if v.opts.Live != nil {
		live, compare = v.opts.Live(v.s.number)
	}
	head, _, err := v.s.Head(ctx)
	if err != nil {
		return v.found(named{}, err)
	}
	if compare && live.Position < head.Position {
		head.Position = live.Position
	}
	_, progress, err := v.s.Recover(ctx, RecoverOptions{To: head.Position, Replica: scratch})
	v.res.Folded += progress.Events
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrMissing) {
		v.report(Finding{Kind: FindingState, Shard: v.s.number, Position: scratch.Applied().Position + 1, Detail: "it cannot be folded: " + err.Error()})
		return nil
	}
	if errors.Is(err, state.ErrDiverged) || errors.Is(err, state.ErrCorrupt) {
		v.report(Finding{Kind: FindingState, Shard: v.s.number, Position: scratch.Applied().Position + 1, Detail: err.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	totals, err := state.GetTotals(scratch.Reader())
	if err != nil {
		return err
	}
	if compare && live.Position == scratch.Applied().Position && live.Digest != totals.Digest {
		v.report(Finding{Kind: FindingState, Shard: v.s.number, Position: live.Position, Detail: fmt.Sprintf("folding gives digest %016x, the live store has %016x", totals.Digest, live.Digest)})
	}
	return nil
}
