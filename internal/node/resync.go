package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/internal/control"
	"angarium/internal/durable"
	"angarium/mailstore"
	"angarium/mailstore/salvage"
	"angarium/replica"
)

// tailFile is the name of the file of envelopes in a directory of what was set aside.
const tailFile = "tail.log"

// fetchSoon fetches a shard's replica from a peer in the background, one at a time; the node then opens its directory again.
func (s *site) fetchSoon(p *channel.Peer, shard int, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.node.Restart == nil {
		return
	}
	s.busy = true
	s.log.Warn("fetching the replica from another node", "shard", shard, "from", p.Name(), "reason", why)
	s.done.Go(func() {
		_, err := s.fetch(s.ctx, p, s.node.shards[shard], s.node.seedProgress(shard))
		if err != nil {
			s.mu.Lock()
			s.busy = false
			s.mu.Unlock()
			s.log.Error("the replica could not be fetched", "shard", shard, "from", p.Name(), "error", err)
			return
		}
		s.node.Restart()
	})
}

// fetch fetches a shard's replica from a peer beside the one in use, and sets aside what only this node's log has. The next start takes
// the new one into use. Nothing is destroyed before its replacement is complete.
func (s *site) fetch(ctx context.Context, p *channel.Peer, sh *shard, progress func(channel.SeedProgress)) (res control.ResyncedShard, err error) {
	begin := time.Now()
	res = control.ResyncedShard{Shard: sh.number, From: p.Name()}
	p.Unfollow(sh.number)
	defer func() {
		if err == nil {
			return
		}
		s.mu.Lock()
		s.refollow = true // to be followed, or fetched, once more
		s.mu.Unlock()
		s.poke()
	}()
	aside, err := s.setAside(ctx, p, sh)
	if err != nil {
		return res, err
	}
	dir := fetchDir(shardDir(s.node.opts.Data, sh.number))
	at, err := p.Seed(ctx, sh.number, dir, func(sp channel.SeedProgress) {
		res.Bytes = uint64(sp.Bytes)
		progress(sp)
	})
	if err != nil {
		return res, err
	}
	if err := durable.SyncDir(s.node.opts.Data); err != nil {
		return res, err
	}
	s.node.layoutLock.Lock()
	defer s.node.layoutLock.Unlock()
	l := s.node.layout
	if l.Fetched == nil {
		l.Fetched = map[int]fetched{}
	}
	l.Fetched[sh.number] = fetched{Base: baseOf(at), Aside: aside}
	if aside != "" {
		if l.Salvage == nil {
			l.Salvage = map[int]string{}
		}
		l.Salvage[sh.number] = aside
	}
	res.Position, res.Aside, res.Seconds = uint64(at.Position), aside, time.Since(begin).Seconds()
	return res, l.write(s.node.opts.Data)
}

// setAside copies the envelopes that the peer's log does not have into a directory, and gives its name below the data directory; "" when
// there are none.
func (s *site) setAside(ctx context.Context, p *channel.Peer, sh *shard) (string, error) {
	head, err := sh.log.Head(ctx)
	if err != nil {
		return "", err
	}
	common, err := channel.FindCommon(ctx, p, sh.number, sh.log, s.hub.Peers()...)
	switch {
	case errors.Is(err, channel.ErrNoCommon): // then all of this log is taken for this node's own
		common.Position = head.First - 1
	case err != nil:
		return "", err
	}
	if common.Position >= head.Last {
		return "", nil
	}
	name := filepath.Join("aside", fmt.Sprintf("%s-shard-%d", time.Now().UTC().Format("20060102T150405Z"), sh.number))
	dir := filepath.Join(s.node.opts.Data, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("set envelopes aside: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, tailFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("set envelopes aside: %w", err)
	}
	count, err := eventlog.WriteAside(f, stored(ctx, sh.log, common.Position+1, head.Last))
	err = errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(dir), durable.SyncDir(filepath.Dir(dir)), durable.SyncDir(s.node.opts.Data))
	if err != nil {
		return "", err
	}
	s.log.Warn("set aside what the primary does not have", "shard", sh.number, "envelopes", count, "from", uint64(common.Position+1), "to", uint64(head.Last), "directory", name)
	return name, nil
}

// stored reads a range of a log, unverified.
func stored(ctx context.Context, log eventlog.Log, from, to eventlog.Position) iter.Seq2[eventlog.Message, error] {
	return func(yield func(eventlog.Message, error) bool) {
		for pos := from; pos <= to; pos++ {
			payload, err := log.Read(ctx, pos)
			if !yield(eventlog.Message{Position: pos, Payload: payload}, err) || err != nil {
				return
			}
		}
	}
}

// resync fetches replicas anew at the word of an operator.
func (s *site) resync(ctx context.Context, req control.ResyncRequest, progress func(shard int, p channel.SeedProgress)) (control.ResyncResult, error) {
	var res control.ResyncResult
	if s.node.cluster != nil {
		return res, errNoResync
	}
	if s.node.leads() {
		return res, &control.Error{
			Code: control.CodeUsage, Message: "this node is the primary: it cannot be made anew from another", Hint: "promote the other node first",
		}
	}
	p := s.wayUp()
	if req.From != "" {
		var ok bool
		if p, ok = s.hub.Peer(req.From); !ok {
			return res, &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("no channel to a node %q", req.From)}
		}
	}
	if p == nil {
		return res, &control.Error{Code: control.CodeUnavailable, Message: "no primary can be reached", Hint: "name a node with --from"}
	}
	s.mu.Lock()
	if s.busy {
		s.mu.Unlock()
		return res, &control.Error{Code: control.CodeUnavailable, Message: "a replica is being fetched already"}
	}
	s.busy = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy = false
		s.mu.Unlock()
	}()
	for _, sh := range s.node.shards {
		if req.Shard != nil && *req.Shard != sh.number {
			continue
		}
		one, err := s.fetch(ctx, p, sh, func(sp channel.SeedProgress) { progress(sh.number, sp) })
		if err != nil {
			return res, err
		}
		res.Shards = append(res.Shards, one)
	}
	return res, nil
}

// salvageAll carries over what was set aside, now or when the primary can be reached.
func (s *site) salvageAll(ctx context.Context) {
	for shard, dir := range s.node.unsalvaged() {
		for ctx.Err() == nil {
			err := s.salvage(ctx, shard, dir)
			if err == nil {
				break
			}
			if !errors.Is(err, mailstore.ErrUnavailable) {
				s.log.Error("what was set aside cannot be carried over", "shard", shard, "directory", dir, "error", err)
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (n *Node) unsalvaged() map[int]string {
	n.layoutLock.Lock()
	defer n.layoutLock.Unlock()
	list := map[int]string{}
	for shard, dir := range n.layout.Salvage {
		if _, waits := n.layout.Fetched[shard]; !waits {
			list[shard] = dir
		}
	}
	return list
}

// salvage does again, through the new primary, what of an old tail is still sensible, and writes a report of it.
func (s *site) salvage(ctx context.Context, shard int, name string) error {
	dir := filepath.Join(s.node.opts.Data, name)
	if s.wayUp() == nil && !s.node.leads() {
		return fmt.Errorf("%w: no primary can be reached", mailstore.ErrUnavailable)
	}
	opts := s.node.replicaOptions(shard, filepath.Join(dir, "replica"))
	opts.Hooks = replica.Hooks{}
	old, err := replica.Open(opts)
	if err != nil {
		return err
	}
	tail := func(yield func(eventlog.Envelope, error) bool) {
		f, err := os.Open(filepath.Join(dir, tailFile))
		if err != nil {
			yield(eventlog.Envelope{}, err)
			return
		}
		defer f.Close()
		eventlog.ReadAside(f)(yield)
	}
	report, err := salvage.Apply(ctx, s.node.store, tail, salvage.Options{Old: salvage.FromReplica(old), Session: filepath.Base(name)})
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, "report.json"), append(data, '\n')); err != nil {
		return err
	}
	s.log.Warn("carried over what was set aside", "shard", shard, "directory", name, "applied", report.Applied, "already_there", report.AlreadyThere, "not_applied", report.NotApplied)
	s.node.layoutLock.Lock()
	defer s.node.layoutLock.Unlock()
	delete(s.node.layout.Salvage, shard)
	if err := s.node.layout.write(s.node.opts.Data); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, "replica"))
}
