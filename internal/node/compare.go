package node

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/fxamacker/cbor/v2"

	"angarium/channel"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/replica"
	"angarium/replica/compare"
)

// compareWith compares every mailbox with a peer's, at one position of each shard, without trust in the log.
func (s *site) compareWith(ctx context.Context, req control.CompareRequest, each func(control.MailboxDifference) error, progress func(control.Progress)) (control.CompareResult, error) {
	res := control.CompareResult{Node: s.node.name, Against: req.Node}
	p, err := s.comparedPeer(req.Node)
	if err != nil {
		return res, err
	}
	for _, sh := range s.node.shards {
		if req.Account != "" && mailstore.ShardOf(req.Account, len(s.node.shards)) != sh.number {
			continue
		}
		call := rowsCall{Account: req.Account, Deep: req.Deep}
		err := s.eachShard(ctx, p, sh, call, &res, func(view *replica.View, theirs io.Reader) error {
			ours := counted(compare.Digests(ctx, view, compare.Options{Account: req.Account, Deep: req.Deep}), func(d compare.Digest) {
				if d.ID == "" {
					res.Accounts++
				} else {
					res.Mailboxes++
					res.Messages += uint64(d.Messages)
				}
				progress(control.Progress{What: "compare", Done: res.Mailboxes, Unit: "mailboxes"})
			})
			for d, err := range compare.CompareDigests(ours, compare.Read[compare.Digest](theirs)) {
				if err != nil {
					return err
				}
				res.Differences++
				one, only := present(d, s.node.name, p.Name())
				if err := each(control.MailboxDifference{
					Shard: sh.number, Account: one.Account, Mailbox: one.Mailbox, ID: one.ID, Only: only, Fields: d.Fields,
				}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return res, fmt.Errorf("compare shard %d: %w", sh.number, err)
		}
	}
	res.OK = res.Differences == 0
	return res, nil
}

// diffWith compares the messages of an account with a peer's, one by one.
func (s *site) diffWith(ctx context.Context, req control.DiffRequest, each func(control.MessageDifference) error) (control.CompareResult, error) {
	res := control.CompareResult{Node: s.node.name, Against: req.Node}
	p, err := s.comparedPeer(req.Node)
	if err != nil {
		return res, err
	}
	sh := s.node.shards[mailstore.ShardOf(req.Account, len(s.node.shards))]
	call := rowsCall{Account: req.Account, Records: true}
	err = s.eachShard(ctx, p, sh, call, &res, func(view *replica.View, theirs io.Reader) error {
		ours := counted(compare.Records(ctx, view, req.Account), func(compare.Record) { res.Messages++ })
		for d, err := range compare.CompareRecords(ours, compare.Read[compare.Record](theirs)) {
			if err != nil {
				return err
			}
			res.Differences++
			one, only := present(d, s.node.name, p.Name())
			if err := each(control.MessageDifference{
				Shard: sh.number, Mailbox: one.Mailbox, ID: one.ID, UID: one.UID, GUID: one.GUID, Only: only, Fields: d.Fields,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	res.OK = err == nil && res.Differences == 0
	return res, err
}

// counted passes on a stream and tells of each item.
func counted[T any](items iter.Seq2[T, error], tell func(T)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for item, err := range items {
			if err == nil {
				tell(item)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// present gives the side of a difference that is there, and the node's name if it is the only one.
func present[T any](d compare.Difference[T], here, there string) (one T, only string) {
	switch {
	case d.A == nil:
		return *d.B, there
	case d.B == nil:
		return *d.A, here
	}
	return *d.A, ""
}

func (s *site) comparedPeer(name string) (*channel.Peer, error) {
	p, ok := s.hub.Peer(name)
	if !ok {
		return nil, &control.Error{
			Code: control.CodeNotFound, Message: fmt.Sprintf("no channel to a node %q", name), Hint: "syncctl channel list names those there are",
		}
	}
	return p, nil
}

// eachShard takes views of a shard on both nodes and gives both to fn, the peer's as a stream.
func (s *site) eachShard(ctx context.Context, p *channel.Peer, sh *shard, call rowsCall, res *control.CompareResult, fn func(*replica.View, io.Reader) error) error {
	view, id, err := s.bothViews(ctx, p, sh)
	if err != nil {
		return err
	}
	defer view.Close()
	digest := ""
	if st, err := sh.replica.Status(); err == nil && st.Applied == view.At {
		digest = digestText(st.Totals.Digest)
	}
	res.Shards = append(res.Shards, control.ComparedShard{
		Shard: sh.number, Position: uint64(view.At.Position), Hash: view.At.Hash.String(), Digest: digest,
	})
	call.ID = id
	req, err := cbor.Marshal(call)
	if err != nil {
		return err
	}
	stream, err := p.Stream(ctx, streamView, req)
	if err != nil {
		return err
	}
	defer stream.Close()
	return fn(view, stream)
}
