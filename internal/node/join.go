package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"angarium/channel"
	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/internal/control"
	"angarium/internal/durable"
)

func channelDir(dir string) string { return filepath.Join(dir, "channel") }

// state gives what a base stands for; the zero base is the beginning of a log.
func (b base) state() (eventlog.State, error) {
	s := eventlog.State{Position: eventlog.Position(b.Position), NextIndex: b.NextIndex, Epoch: b.Epoch}
	if b == (base{}) {
		return s, nil
	}
	h, err := hex.DecodeString(b.Hash)
	if err != nil || len(h) != len(s.Hash) {
		return s, fmt.Errorf("layout.json is damaged: %q is no hash", b.Hash)
	}
	s.Hash = eventlog.Hash(h)
	return s, nil
}

func baseOf(s eventlog.State) base {
	return base{Position: uint64(s.Position), Hash: s.Hash.String(), NextIndex: s.NextIndex, Epoch: s.Epoch}
}

// joinToken reads the token that the configuration names; false when it names none.
func (n *Node) joinToken() (channel.Token, bool, error) {
	file := n.opts.Config.Channel.JoinFile
	if file == "" {
		return channel.Token{}, false, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if r, roleErr := readRole(n.opts.Data); roleErr == nil && r.Primary != "" {
			return channel.Token{}, false, nil // it joined long ago, and the file was removed as a secret should be
		}
	}
	if err != nil {
		return channel.Token{}, false, fmt.Errorf("read join token: %w", err)
	}
	t, err := channel.ParseToken(string(text))
	if err == nil && t.Peer != n.name {
		err = fmt.Errorf("it is for node %q, and this one is named %q: start it with --node %s", t.Peer, n.name, t.Peer)
	}
	if err != nil {
		return channel.Token{}, false, &control.Error{
			Code: control.CodeUsage, Message: fmt.Sprintf("join token in %s: %v", file, err),
			Hint: "make one on the node to be joined: syncctl channel add NAME",
		}
	}
	return t, true, nil
}

// joinFirst fills an empty data directory from the node that it is told to join. After a crash it goes on where it was.
func (n *Node) joinFirst(ctx context.Context) error {
	token, ok, err := n.joinToken()
	if err != nil || !ok {
		return err
	}
	dir := n.opts.Data
	if _, err := os.Stat(filepath.Join(dir, "layout.json")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(channelDir(dir)); errors.Is(err, fs.ErrNotExist) {
		if err := onlyLock(dir); err != nil {
			return err
		}
	}
	hub, err := channel.New(newcomer{n.name}, channel.Options{
		Dir: channelDir(dir), Version: n.opts.Version, Logger: n.log.With("part", "channel"),
	})
	if err != nil {
		return err
	}
	err = n.fetchAll(ctx, hub, token)
	return errors.Join(err, hub.Close(context.WithoutCancel(ctx)))
}

func onlyLock(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "LOCK" {
			return fmt.Errorf("%w: %s holds %q; a node that joins another needs an empty directory", ErrNotInitialised, dir, e.Name())
		}
	}
	return nil
}

// fetchAll fetches a checkpoint of each shard, and then makes the layout: from then on the directory is that of a replica.
func (n *Node) fetchAll(ctx context.Context, hub *channel.Hub, token channel.Token) error {
	peer, err := hub.Join(token)
	if err != nil {
		return err
	}
	n.log.Info("joining", "node", token.Node, "address", token.Address)
	n.opts.progress("waiting for node " + token.Node + " at " + token.Address)
	st, err := firstState(ctx, peer)
	if err != nil {
		return err
	}
	l := &layout{
		Format: layoutFormat, Shards: len(st.Shards), Created: time.Now().UTC().Truncate(time.Second), Bases: map[int]base{},
	}
	for i := range l.Shards {
		at, err := peer.Seed(ctx, i, shardDir(n.opts.Data, i), n.seedProgress(i))
		if err != nil {
			return fmt.Errorf("fetch shard %d: %w", i, err)
		}
		l.Bases[i] = baseOf(at)
		n.log.Info("fetched", "shard", i, "from", token.Node, "position", uint64(at.Position))
	}
	if err := (role{Role: roleReplica, Primary: token.Node}).write(n.opts.Data); err != nil {
		return err
	}
	return l.write(n.opts.Data)
}

// firstState waits until a peer has said how many shards there are.
func firstState(ctx context.Context, peer *channel.Peer) (channel.NodeState, error) {
	for {
		if st, at := peer.State(); !at.IsZero() && len(st.Shards) > 0 {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return channel.NodeState{}, fmt.Errorf("node %q does not answer: %w", peer.Name(), ctx.Err())
		case <-time.After(stepEvery):
		}
	}
}

func (n *Node) seedProgress(shard int) func(channel.SeedProgress) {
	last := time.Now()
	return func(p channel.SeedProgress) {
		if time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		n.log.Info("fetching", "shard", shard, "bytes", p.Bytes, "of", p.BytesTotal)
		n.opts.progress(fmt.Sprintf("fetching shard %d: %d of %d MiB", shard, p.Bytes>>20, p.BytesTotal>>20))
	}
}

// newcomer is a node that has nothing yet.
type newcomer struct{ name string }

// Name implements channel.Local.
func (c newcomer) Name() string { return c.name }

// Shards implements channel.Local.
func (newcomer) Shards() int { return 0 }

// Log implements channel.Local.
func (newcomer) Log(int) eventlog.Log { return nil }

// Tip implements channel.Local.
func (newcomer) Tip(context.Context, int) (channel.Tip, error) {
	return channel.Tip{}, errors.New("this node has nothing yet")
}

// Claim implements channel.Local.
func (newcomer) Claim(int) channel.Claim { return channel.Claim{Role: "joining"} }

func fetchDir(dir string) string { return dir + ".fetch" }

// takeFetched puts a replica that was fetched in the place of the one in use, and begins its log behind it. Each step can be repeated
// after a crash; what is in the layout says that it is not done.
func (n *Node) takeFetched(ctx context.Context, number int) error {
	f, ok := n.layout.Fetched[number]
	if !ok {
		return nil
	}
	dir := shardDir(n.opts.Data, number)
	if _, err := os.Stat(fetchDir(dir)); err == nil {
		if err := n.makeRoom(dir, f.Aside); err != nil {
			return fmt.Errorf("make room for the replica that was fetched: %w", err)
		}
		if err := os.Rename(fetchDir(dir), dir); err != nil {
			return fmt.Errorf("put the replica that was fetched in its place: %w", err)
		}
		if err := durable.SyncDir(n.opts.Data); err != nil {
			return err
		}
	}
	at, err := f.Base.state()
	if err != nil {
		return err
	}
	if err := jslog.Delete(ctx, n.conn, streamConfig(number)); err != nil {
		return err
	}
	cfg := streamConfig(number)
	cfg.First = at.Position + 1
	log, err := jslog.Create(ctx, n.conn, cfg)
	if err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	delete(n.layout.Fetched, number)
	if n.layout.Bases == nil {
		n.layout.Bases = map[int]base{}
	}
	n.layout.Bases[number] = f.Base
	return n.layout.write(n.opts.Data)
}

// makeRoom moves the replica in use aside, or removes it.
func (n *Node) makeRoom(dir, aside string) error {
	if aside == "" {
		return os.RemoveAll(dir)
	}
	to := filepath.Join(n.opts.Data, aside, "replica")
	if _, err := os.Stat(to); err == nil {
		return nil // moved before a crash
	}
	if err := os.Rename(dir, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}
