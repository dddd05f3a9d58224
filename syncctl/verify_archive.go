package main

import (
	"context"
	"errors"
	"fmt"

	"angarium/internal/control"
)

// runVerifyArchive is verify --archive. With compare set, and a server on the data directory, its state is compared with what the archive folds to.
func runVerifyArchive(ctx context.Context, g *globals, req control.VerifyArchiveRequest, compare bool) error {
	if req.Deep && compare {
		live, err := g.liveDigests(ctx)
		if err != nil {
			return err
		}
		req.Live = live
	}
	return g.connectArchive(ctx, req.Archive, func(c *control.Client, m *meter) error {
		m.show(control.Progress{What: "verify the archive"})
		var listed []control.ArchiveFinding
		res, err := c.VerifyArchive(ctx, req, func(f control.ArchiveFinding) error {
			if !g.json {
				return m.aside(func() error { return g.printf("%s\n", findingText(f)) })
			}
			if len(listed) < maxListed {
				listed = append(listed, f)
			}
			return nil
		}, m.show)
		if err != nil {
			return err
		}
		m.end()
		res.Listed = listed
		if err := g.printVerifiedArchive(res, req.Deep); err != nil {
			return err
		}
		if !res.OK {
			return &control.Error{
				Code: codeViolations, Message: "verification of the archive found " + count(uint64(res.Faults), "fault"),
				Hint: "what does not depend on the objects named can still be restored; syncctl backup --now makes a point that does not need them",
			}
		}
		return nil
	})
}

// liveDigests gives the digests of the shards of the server that has the data directory open; none when there is no server.
func (g *globals) liveDigests(ctx context.Context) ([]control.VerifiedShard, error) {
	c, err := control.Dial(ctx, g.data)
	if errors.Is(err, control.ErrNoServer) {
		return nil, nil
	}
	if err != nil {
		return nil, unusable(err)
	}
	st, err := c.Status(ctx)
	var live []control.VerifiedShard
	for _, s := range st.Shards {
		live = append(live, control.VerifiedShard{Shard: s.Shard, Position: s.Applied, Digest: s.Digest})
	}
	return live, err
}

func findingText(f control.ArchiveFinding) string {
	what := "fault"
	if f.Harmless {
		what = "harmless"
	}
	text := fmt.Sprintf("%s: %s, shard %d", what, f.Kind, f.Shard)
	if f.Object != "" {
		text += ", " + f.Object
	}
	if f.Position > 0 {
		text += fmt.Sprintf(", position %d", f.Position)
	}
	return plain(text + ": " + f.Detail)
}

func (g *globals) printVerifiedArchive(res control.VerifyArchiveResult, deep bool) error {
	if g.json {
		return g.printJSON(res)
	}
	text := fmt.Sprintf("%s (%s), %s, %s, %s, %s", count(uint64(res.Objects), "object"), bytesText(uint64(res.Bytes)), count(res.Envelopes, "envelope"),
		count(res.Events, "event"), count(res.Bodies, "body"), count(uint64(res.Snapshots), "snapshot"))
	if deep {
		text += fmt.Sprintf(", %s folded", count(res.Folded, "event"))
	}
	return g.printf("%s: %s: %s\n", plain(res.Target), text, count(uint64(res.Faults), "fault"))
}
