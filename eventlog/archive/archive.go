package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

// manifest is the object archive.json, written once.
type manifest struct {
	Format int    `json:"format"`
	Shards int    `json:"shards"`
	Cipher string `json:"cipher,omitempty"`
	KeyID  string `json:"key_id,omitempty"`
	Sum    string `json:"sha256"` // of the object with this field empty
}

const cipherName = "xchacha20-poly1305"

func (m manifest) encode() []byte {
	m.Sum = ""
	sum := sha256.Sum256(m.json())
	m.Sum = hex.EncodeToString(sum[:])
	return m.json()
}

func (m manifest) json() []byte {
	b, _ := json.MarshalIndent(m, "", "  ") // numbers and strings: it cannot fail
	return append(b, '\n')
}

// Archive is an archive on a target. It is safe for concurrent use.
type Archive struct {
	target *counted
	key    *Key
	dec    *zstd.Decoder
	shards int
}

// counted is a target that counts what is read of it.
type counted struct {
	Target
	read, gets atomic.Int64
}

// Get implements Target.
func (c *counted) Get(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	b, err := c.Target.Get(ctx, name, offset, length)
	c.read.Add(int64(len(b)))
	c.gets.Add(1)
	return b, err
}

// Open opens the archive on a target: ErrNotArchive when there is none, ErrKey when the key (nil for none) is not its.
func Open(ctx context.Context, t Target, key *Key) (*Archive, error) {
	b, err := t.Get(ctx, manifestName, 0, -1)
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNotArchive, t)
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, &DamageError{manifestName, -1, err}
	}
	switch {
	case m.Format > Format:
		return nil, fmt.Errorf("%w: format %d", ErrNewer, m.Format)
	case !bytes.Equal(b, m.encode()) || m.Format < 1 || m.Shards < 1 || m.Shards > maxShards:
		return nil, &DamageError{manifestName, -1, errors.New("its checksum")}
	case m.KeyID == "" && key != nil:
		return nil, fmt.Errorf("%w: %s is not encrypted", ErrKey, t)
	case m.KeyID != "" && key == nil:
		return nil, fmt.Errorf("%w: %s is encrypted with key %s (hint: name the key file)", ErrKey, t, m.KeyID)
	case m.KeyID != key.ID():
		return nil, fmt.Errorf("%w: %s is encrypted with key %s, this is %s", ErrKey, t, m.KeyID, key.ID())
	}
	dec, err := newDecoder()
	if err != nil {
		return nil, err
	}
	return &Archive{target: &counted{Target: t}, key: key, dec: dec, shards: m.Shards}, nil
}

// Create opens the archive on a target, and makes it first when there is none. An archive of another number of shards is ErrForeign.
func Create(ctx context.Context, t Target, shards int, key *Key) (*Archive, error) {
	if shards < 1 || shards > maxShards {
		return nil, fmt.Errorf("archive of %d shards", shards)
	}
	a, err := Open(ctx, t, key)
	if errors.Is(err, ErrNotArchive) {
		m := manifest{Format: Format, Shards: shards}
		if key != nil {
			m.Cipher, m.KeyID = cipherName, key.ID()
		}
		if err := t.Put(ctx, manifestName, m.encode()); err != nil && !errors.Is(err, ErrExists) {
			return nil, err
		}
		a, err = Open(ctx, t, key)
	}
	if err != nil {
		return nil, err
	}
	if a.shards != shards {
		return nil, fmt.Errorf("%w: %s has %d shards, this store %d", ErrForeign, t, a.shards, shards)
	}
	return a, nil
}

// Shards says how many shards the archive has.
func (a *Archive) Shards() int { return a.shards }

// String is the target's URL.
func (a *Archive) String() string { return a.target.String() }

// BytesRead says how many bytes were read of objects since the archive was opened.
func (a *Archive) BytesRead() int64 { return a.target.read.Load() }

// Size gives the number of objects of the archive and the sum of their sizes in bytes.
func (a *Archive) Size(ctx context.Context) (objects int, bytes int64, err error) {
	list, err := a.target.List(ctx, "")
	for _, info := range list {
		bytes += info.Size
	}
	return len(list), bytes, err
}
