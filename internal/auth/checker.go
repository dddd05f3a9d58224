package auth

import (
	"container/list"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of CheckerOptions.
const (
	DefaultCacheTTL     = 5 * time.Minute
	DefaultCacheEntries = 10_000
	DefaultMaxWaiting   = 1000
)

// ErrBusy is returned when more checks wait for a processor than MaxWaiting. It is a temporary failure: it wraps ErrUnavailable.
var ErrBusy = fmt.Errorf("%w: too many password checks are waiting", ErrUnavailable)

// CheckerOptions configure a Checker. The zero value is usable.
type CheckerOptions struct {
	// Iterations is the PBKDF2 cost of the verifiers that are made up for unknown names; it should be the count with which
	// real verifiers are made. 0 means DefaultIterations.
	Iterations int
	// Secret seeds the verifiers of unknown names. It must be the same on every node and after every restart, or the salt of
	// an unknown name changes and tells it from a known one. Empty means random for the life of the process.
	Secret []byte
	// CacheTTL is how long a successful check spares the next one. 0 means DefaultCacheTTL; negative switches the cache off.
	CacheTTL time.Duration
	// CacheEntries bounds the cache; about 200 bytes each. 0 means DefaultCacheEntries.
	CacheEntries int
	// Concurrency bounds the key derivations that run at once. 0 means GOMAXPROCS.
	Concurrency int
	// MaxWaiting bounds the checks that wait for their turn. 0 means DefaultMaxWaiting.
	MaxWaiting int
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Checker checks plain passwords against verifiers. It is safe for concurrent use.
//
// A successful check is remembered for a short time, because mail clients log in again and again. What is kept is an HMAC,
// under a key that lives only in this process, over account, password and verifier: neither the password nor anything that
// could be attacked without that key; and a changed verifier is a different entry, so that an old password ends at once.
type Checker struct {
	iterations int
	secret     []byte
	slots      chan struct{}
	waiting    atomic.Int64
	maxWaiting int64
	cache      *successCache // nil when switched off
	cacheKey   []byte
}

// NewChecker returns a Checker, or an error when an option is out of range.
func NewChecker(opts CheckerOptions) (*Checker, error) {
	setDefault(&opts.Iterations, DefaultIterations)
	setDefault(&opts.CacheTTL, DefaultCacheTTL)
	setDefault(&opts.CacheEntries, DefaultCacheEntries)
	setDefault(&opts.Concurrency, runtime.GOMAXPROCS(0))
	setDefault(&opts.MaxWaiting, DefaultMaxWaiting)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	switch {
	case opts.Iterations < MinIterations || opts.Iterations > MaxIterations:
		return nil, fmt.Errorf("password checker: %d iterations: want %d to %d", opts.Iterations, MinIterations, MaxIterations)
	case opts.CacheEntries < 0 || opts.Concurrency < 0 || opts.MaxWaiting < 0:
		return nil, errors.New("password checker: a bound is negative")
	}
	c := &Checker{
		iterations: opts.Iterations,
		secret:     append([]byte(nil), opts.Secret...),
		slots:      make(chan struct{}, opts.Concurrency),
		maxWaiting: int64(opts.MaxWaiting),
		cacheKey:   randomKey(),
	}
	if len(c.secret) == 0 {
		c.secret = randomKey()
	}
	if opts.CacheTTL > 0 {
		c.cache = newSuccessCache(opts.CacheEntries, opts.CacheTTL, opts.Now)
	}
	return c, nil
}

// Check reports whether the password is that of the account's verifier. It returns an error only when it could not tell:
// ErrBusy, or the context's.
func (c *Checker) Check(ctx context.Context, account string, v *Verifier, password string) (bool, error) {
	var key [sha256.Size]byte
	if c.cache != nil {
		key = c.entryKey(account, v, password)
		if c.cache.has(key) {
			return true, nil
		}
	}
	ok, err := c.derive(ctx, v, password)
	if ok && c.cache != nil {
		c.cache.add(key)
	}
	return ok, err
}

// UnknownVerifier returns the verifier of a name that has no account. It is the same for the same name and Secret, and matches
// no password. Checking it takes as long as checking a real one, and a SCRAM client sees a salt and count like those of any
// account (RFC 5802, section 9); only accounts whose verifiers have another iteration count can be told apart.
func (c *Checker) UnknownVerifier(name string) Verifier {
	return Verifier{
		Iterations: c.iterations,
		Salt:       hmacSHA256(c.secret, "salt\x00", name)[:saltLen],
		StoredKey:  hmacSHA256(c.secret, "stored key\x00", name),
		ServerKey:  hmacSHA256(c.secret, "server key\x00", name),
	}
}

// derive runs the expensive part within the bound of Concurrency.
func (c *Checker) derive(ctx context.Context, v *Verifier, password string) (bool, error) {
	select {
	case c.slots <- struct{}{}:
	default:
		if err := c.waitForSlot(ctx); err != nil {
			return false, err
		}
	}
	defer func() { <-c.slots }()
	return v.Check(password), nil
}

func (c *Checker) waitForSlot(ctx context.Context) error {
	defer c.waiting.Add(-1)
	if c.waiting.Add(1) > c.maxWaiting {
		return ErrBusy
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}

// entryKey names a successful check. Every part is preceded by its length, so that no two triples give the same input.
func (c *Checker) entryKey(account string, v *Verifier, password string) (key [sha256.Size]byte) {
	mac := hmac.New(sha256.New, c.cacheKey)
	writePart(mac, []byte(account))
	writePart(mac, []byte(password))
	writePart(mac, binary.BigEndian.AppendUint64(nil, uint64(v.Iterations)))
	writePart(mac, v.Salt)
	writePart(mac, v.StoredKey)
	mac.Sum(key[:0])
	return key
}

func writePart(h hash.Hash, part []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(part)))
	h.Write(length[:])
	h.Write(part)
}

func randomKey() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails (crypto/rand)
	return key
}

func setDefault[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

// successCache is a set of keys that expire, oldest first.
type successCache struct {
	mu      sync.Mutex
	max     int
	ttl     time.Duration
	now     func() time.Time
	order   *list.List // of successEntry, oldest in front
	entries map[[sha256.Size]byte]*list.Element
}

type successEntry struct {
	key     [sha256.Size]byte
	expires time.Time
}

func newSuccessCache(max int, ttl time.Duration, now func() time.Time) *successCache {
	return &successCache{max: max, ttl: ttl, now: now, order: list.New(), entries: make(map[[sha256.Size]byte]*list.Element)}
}

// has does not prolong an entry: a password is derived anew at least once per TTL.
func (c *successCache) has(key [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	return ok && c.now().Before(el.Value.(successEntry).expires)
}

func (c *successCache) add(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if el, ok := c.entries[key]; ok {
		c.remove(el)
	}
	for front := c.order.Front(); front != nil; front = c.order.Front() {
		if now.Before(front.Value.(successEntry).expires) && c.order.Len() < c.max {
			break
		}
		c.remove(front)
	}
	c.entries[key] = c.order.PushBack(successEntry{key: key, expires: now.Add(c.ttl)})
}

func (c *successCache) remove(el *list.Element) {
	delete(c.entries, el.Value.(successEntry).key)
	c.order.Remove(el)
}
