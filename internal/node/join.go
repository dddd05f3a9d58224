package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"angarium/channel"
	"angarium/eventlog"
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

// joinTokens reads the tokens that the configuration names: one, or those of the nodes of a cluster, one a line; none when it names none.
func (n *Node) joinTokens() ([]channel.Token, error) {
	file := n.opts.Config.Channel.JoinFile
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if r, roleErr := readRole(n.opts.Data); roleErr == nil && r.Primary != "" {
			return nil, nil // it joined long ago, and the file was removed as a secret should be
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read join token: %w", err)
	}
	var tokens []channel.Token
	for line := range strings.Lines(strings.TrimSpace(string(text)) + "\n") {
		t, err := channel.ParseToken(line)
		if err == nil && t.Peer != n.name {
			err = fmt.Errorf("it is for node %q, and this one is named %q: start it with --node %s", t.Peer, n.name, t.Peer)
		}
		if err != nil {
			return nil, &control.Error{
				Code: control.CodeUsage, Message: fmt.Sprintf("join token in %s: %v", file, err),
				Hint: "make one on the node to be joined: syncctl channel add NAME",
			}
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// joinFirst fills an empty data directory from the node that it is told to join. After a crash it goes on where it was.
func (n *Node) joinFirst(ctx context.Context) error {
	tokens, err := n.joinTokens()
	if err != nil || len(tokens) == 0 {
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
		Dir: channelDir(dir), Dial: n.opts.dial, Version: n.opts.Version, Logger: n.log.With("part", "channel"),
	})
	if err != nil {
		return err
	}
	err = n.fetchAll(ctx, hub, tokens)
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
func (n *Node) fetchAll(ctx context.Context, hub *channel.Hub, tokens []channel.Token) error {
	for _, token := range tokens {
		if _, err := hub.Join(token); err != nil {
			return err
		}
		n.log.Info("joining", "node", token.Node, "address", token.Address)
		n.opts.progress("waiting for node " + token.Node + " at " + token.Address)
	}
	peer, st, err := firstState(ctx, hub.Peers())
	if err != nil {
		return err
	}
	l := &layout{
		Format: layoutFormat, Shards: len(st.Shards), Created: time.Now().UTC().Truncate(time.Second), Bases: map[int]base{},
	}
	for i := range l.Shards {
		at, err := n.seedFromAny(ctx, &peer, hub.Peers(), i)
		if err != nil {
			return fmt.Errorf("fetch shard %d: %w", i, err)
		}
		l.Bases[i] = baseOf(at)
		n.log.Info("fetched", "shard", i, "from", peer.Name(), "position", uint64(at.Position))
	}
	if err := n.fetchSecret(ctx, peer); err != nil {
		return err
	}
	if err := (role{Role: roleReplica, Primary: peer.Name()}).write(n.opts.Data); err != nil {
		return err
	}
	return l.write(n.opts.Data)
}

// callSecret asks for the site's secret.
const callSecret = "secret"

// fetchSecret takes over the site's secret, so that the salts shown for unknown accounts are the same on all nodes. A node of an earlier version
// does not give its own: then this one makes another.
func (n *Node) fetchSecret(ctx context.Context, peer *channel.Peer) error {
	secret, err := peer.Call(ctx, callSecret, nil)
	var answer *channel.RemoteError
	if errors.As(err, &answer) && answer.Code == channel.CodeNoOp {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fetch the site's secret: %w", err)
	}
	if len(secret) < minSecret || len(secret) > maxSecret {
		return fmt.Errorf("fetch the site's secret: %d bytes came", len(secret))
	}
	return durable.WriteFile(filepath.Join(n.opts.Data, "secret"), secret)
}

func (s *site) answerSecret(context.Context, string, []byte) ([]byte, error) {
	return s.node.secret, nil
}

// firstState waits until one of the peers has said how many shards there are.
func firstState(ctx context.Context, peers []*channel.Peer) (*channel.Peer, channel.NodeState, error) {
	for {
		for _, peer := range peers {
			if st, at := peer.State(); peer.Connected() && !at.IsZero() && len(st.Shards) > 0 {
				return peer, st, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, channel.NodeState{}, fmt.Errorf("node %q does not answer: %w", peers[0].Name(), ctx.Err())
		case <-time.After(stepEvery):
		}
	}
}

// seedPatience is how long a node that is fetched from may be away before another is asked, if there is one. What was fetched is lost then.
const seedPatience = 30 * time.Second

// seedFromAny fetches a checkpoint of a shard from a peer, or from another one when that is away for long: which is then the peer.
func (n *Node) seedFromAny(ctx context.Context, peer **channel.Peer, peers []*channel.Peer, shard int) (eventlog.State, error) {
	for {
		fetch, cancel := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for up := time.Now(); ; {
				select {
				case <-fetch.Done():
					return
				case <-time.After(stepEvery):
				}
				if (*peer).Connected() {
					up = time.Now()
				}
				if len(peers) > 1 && time.Since(up) > seedPatience {
					cancel()
				}
			}
		}()
		at, err := (*peer).Seed(fetch, shard, shardDir(n.opts.Data, shard), n.seedProgress(shard))
		gone := fetch.Err() != nil && ctx.Err() == nil
		cancel()
		<-watched
		if err == nil || !gone {
			return at, err
		}
		n.log.Warn("the node that is fetched from is away: asking another", "node", (*peer).Name())
		if *peer, _, err = firstState(ctx, peers); err != nil {
			return at, err
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
	if err := n.logs.remove(ctx, number); err != nil {
		return err
	}
	delete(n.layout.Mending, number)
	log, err := n.logs.create(ctx, number, at)
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
