package channel

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"angarium/internal/durable"
)

// registryFile holds the channels of a node, as JSON.
const registryFile = "channels.json"

// Record is what a node keeps of one channel.
type Record struct {
	Peer   string    `json:"peer"` // name of the node at the other end
	Added  time.Time `json:"added"`
	Paused bool      `json:"paused,omitempty"`
	// Ack is kept for the node: what acknowledgements of this peer are worth. This package does not read it.
	Ack string `json:"ack,omitempty"`
	// SecretHash is the SHA-256 of the secret by which the peer joins this node; empty when this node joins the peer.
	SecretHash []byte `json:"secret_sha256,omitempty"`
	// Token is the join token by which this node joins the peer; empty when the peer joins this node.
	Token string `json:"token,omitempty"`
}

// Registry keeps the channels of a node in a directory. It is safe for concurrent use; one process at a time may have it open.
type Registry struct {
	path string

	mu      sync.Mutex
	records map[string]Record
}

// OpenRegistry reads the channels kept in dir, which it makes if it is not there.
func OpenRegistry(dir string) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open channels: %w", err)
	}
	r := &Registry{path: filepath.Join(dir, registryFile), records: map[string]Record{}}
	text, err := os.ReadFile(r.path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open channels: %w", err)
	}
	var list []Record
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("open channels: %s: %w", r.path, err)
	}
	for _, rec := range list {
		r.records[rec.Peer] = rec
	}
	return r, nil
}

// List gives all channels, sorted by name.
func (r *Registry) List() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sorted(r.records)
}

func sorted(records map[string]Record) []Record {
	list := make([]Record, 0, len(records))
	for _, rec := range records {
		list = append(list, rec)
	}
	slices.SortFunc(list, func(a, b Record) int { return strings.Compare(a.Peer, b.Peer) })
	return list
}

// Get gives one channel.
func (r *Registry) Get(peer string) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.records[peer]
	return rec, ok
}

// Update changes what is kept of a channel: ErrUnknownPeer if there is none.
func (r *Registry) Update(peer string, change func(*Record)) error {
	return r.edit(func(records map[string]Record) error {
		rec, ok := records[peer]
		if !ok {
			return fmt.Errorf("channel %q: %w", peer, ErrUnknownPeer)
		}
		change(&rec)
		rec.Peer = peer
		records[peer] = rec
		return nil
	})
}

// Remove forgets a channel: ErrUnknownPeer if there is none.
func (r *Registry) Remove(peer string) error {
	return r.edit(func(records map[string]Record) error {
		if _, ok := records[peer]; !ok {
			return fmt.Errorf("channel %q: %w", peer, ErrUnknownPeer)
		}
		delete(records, peer)
		return nil
	})
}

// Admit makes a secret for a node that is to join and keeps its hash: ErrExists if there is a channel of that name.
func (r *Registry) Admit(peer string) ([SecretBytes]byte, error) {
	var secret [SecretBytes]byte
	rand.Read(secret[:]) // never fails
	sum := sha256.Sum256(secret[:])
	return secret, r.add(Record{Peer: peer, SecretHash: sum[:]})
}

// SaveJoin keeps the token by which this node joins another. A token for a node that is kept already takes the place of the old.
func (r *Registry) SaveJoin(t Token) error {
	if rec, ok := r.Get(t.Node); ok && rec.Token != "" {
		if rec.Token == t.String() {
			return nil
		}
		return r.Update(t.Node, func(rec *Record) { rec.Token = t.String() })
	}
	return r.add(Record{Peer: t.Node, Token: t.String()})
}

func (r *Registry) add(rec Record) error {
	if err := checkName(rec.Peer); err != nil {
		return err
	}
	rec.Added = time.Now().UTC().Truncate(time.Second)
	return r.edit(func(records map[string]Record) error {
		if _, ok := records[rec.Peer]; ok {
			return fmt.Errorf("channel %q: %w", rec.Peer, ErrExists)
		}
		if len(records) >= maxPeers {
			return fmt.Errorf("channel %q: %w: a node can have %d", rec.Peer, ErrBusy, maxPeers)
		}
		records[rec.Peer] = rec
		return nil
	})
}

// verify says whether secret is the one by which a peer joins. It takes as long for a peer that does not exist.
func (r *Registry) verify(peer string, secret []byte) bool {
	rec, ok := r.Get(peer)
	want := rec.SecretHash
	if len(want) != sha256.Size {
		ok, want = false, make([]byte, sha256.Size)
	}
	sum := sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(sum[:], want) == 1 && ok
}

// edit changes the records and writes them; when that fails they are as before.
func (r *Registry) edit(change func(map[string]Record) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make(map[string]Record, len(r.records)+1)
	for name, rec := range r.records {
		records[name] = rec
	}
	if err := change(records); err != nil {
		return err
	}
	text, err := json.MarshalIndent(sorted(records), "", "  ")
	if err == nil {
		err = durable.WriteFile(r.path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep channels: %w", err)
	}
	r.records = records
	return nil
}
