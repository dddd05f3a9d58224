package auth

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Defaults of ThrottleOptions.
const (
	DefaultFreePerAddress  = 20
	DefaultFreePerAccount  = 5
	DefaultThrottleWindow  = 15 * time.Minute
	DefaultBaseDelay       = time.Second
	DefaultMaxDelay        = time.Minute
	DefaultMaxWait         = 15 * time.Second
	DefaultKnownFor        = 24 * time.Hour
	DefaultThrottleEntries = 32_768
)

// ThrottledError refuses an attempt without looking at the password.
type ThrottledError struct {
	RetryAfter time.Duration // when the next attempt would be let through, measured from the refusal
}

// Error implements error.
func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins: try again in %s", e.RetryAfter.Round(time.Second))
}

// ThrottleOptions configure a Throttle. The zero value is usable.
type ThrottleOptions struct {
	// FreePerAddress and FreePerAccount are the failures that cost no delay yet. 0 means the default; many people may
	// share an address, so that its default is higher.
	FreePerAddress, FreePerAccount int
	// Window is how long a counter is kept after its last failure. 0 means DefaultThrottleWindow.
	Window time.Duration
	// BaseDelay is the delay of the first failure that is not free; each further one doubles it up to MaxDelay.
	BaseDelay, MaxDelay time.Duration
	// MaxWait is the longest wait asked of a client; an attempt that would wait longer is refused. 0 means DefaultMaxWait.
	MaxWait time.Duration
	// KnownFor is how long an address that logged in to an account is spared the delays that other addresses' guesses have
	// caused for the account, so that nobody can be locked out by a stranger. 0 means DefaultKnownFor.
	KnownFor time.Duration
	// MaxEntries bounds each of the three tables; about 250 bytes an entry. 0 means DefaultThrottleEntries.
	MaxEntries int
	// Exempt lists addresses whose failures are not counted by address, such as a webmail's: only by account.
	Exempt []netip.Prefix
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Throttle slows down the guessing of passwords. It counts failures by client address (an IPv6 client is its /64) and by
// account name, and spaces the attempts of whoever has failed too often: each attempt books its place in time, so that
// parallel attempts wait one after the other. It is safe for concurrent use.
//
// Each table forgets the entry that was used longest ago when it is full. An entry costs its maker a failed attempt, thus a
// key derivation, so that flushing a table is slower than waiting.
type Throttle struct {
	opts ThrottleOptions

	mu        sync.Mutex
	addresses *lru[netip.Prefix, *counter]
	accounts  *lru[string, *counter]
	pairs     *lru[pairKey, *pair]
}

type pairKey struct {
	address netip.Prefix
	account string
}

// counter counts the failures of one address or one account.
type counter struct {
	failures int
	last     time.Time // of the last failure
	next     time.Time // earliest time of the next attempt
}

// pair remembers what one address did to one account: the failures that a success takes back, and the success itself.
type pair struct {
	failures   int
	last       time.Time
	knownUntil time.Time
}

// NewThrottle returns a Throttle.
func NewThrottle(opts ThrottleOptions) *Throttle {
	setDefault(&opts.FreePerAddress, DefaultFreePerAddress)
	setDefault(&opts.FreePerAccount, DefaultFreePerAccount)
	setDefault(&opts.Window, DefaultThrottleWindow)
	setDefault(&opts.BaseDelay, DefaultBaseDelay)
	setDefault(&opts.MaxDelay, DefaultMaxDelay)
	setDefault(&opts.MaxWait, DefaultMaxWait)
	setDefault(&opts.KnownFor, DefaultKnownFor)
	setDefault(&opts.MaxEntries, DefaultThrottleEntries)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Throttle{
		opts:      opts,
		addresses: newLRU[netip.Prefix, *counter](opts.MaxEntries),
		accounts:  newLRU[string, *counter](opts.MaxEntries),
		pairs:     newLRU[pairKey, *pair](opts.MaxEntries),
	}
}

// Attempt says how long to wait before the credential is looked at; zero for most. When that would be more than MaxWait it
// returns a *ThrottledError instead, and the attempt must not be made. The address may be invalid (a unix socket) and the
// account empty (a malformed name): such are not counted.
func (t *Throttle) Attempt(address netip.Addr, account string) (time.Duration, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opts.Now()
	counters := t.counters(address, account, now)
	var wait time.Duration
	for _, c := range counters {
		wait = max(wait, c.counter.next.Sub(now))
	}
	if wait > t.opts.MaxWait {
		return 0, &ThrottledError{RetryAfter: wait}
	}
	for _, c := range counters {
		if delay := t.delay(c.counter.failures - c.free); delay > 0 {
			c.counter.next = now.Add(wait + delay)
		}
	}
	return wait, nil
}

// Failed counts a wrong password, or a name that has no account.
func (t *Throttle) Failed(address netip.Addr, account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opts.Now()
	network := t.network(address)
	if network.IsValid() {
		c, ok := t.addresses.get(network)
		if !ok {
			c = &counter{}
			t.addresses.put(network, c)
		}
		t.count(c, t.opts.FreePerAddress, now)
	}
	if account == "" {
		return
	}
	c, ok := t.accounts.get(account)
	if !ok {
		c = &counter{}
		t.accounts.put(account, c)
	}
	t.count(c, t.opts.FreePerAccount, now)

	p := t.pair(pairKey{network, account})
	if now.Sub(p.last) > t.opts.Window {
		p.failures = 0
	}
	p.failures++
	p.last = now
}

// Succeeded takes back the failures of this address at this account, from both counters, and no others: whoever owns one
// account can't wipe out his guesses at the rest.
func (t *Throttle) Succeeded(address netip.Addr, account string) {
	if account == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.opts.Now()
	network := t.network(address)
	p := t.pair(pairKey{network, account})
	if now.Sub(p.last) <= t.opts.Window {
		if c, ok := t.addresses.get(network); ok {
			c.forgive(p.failures, t.opts.FreePerAddress)
		}
		if c, ok := t.accounts.get(account); ok {
			c.forgive(p.failures, t.opts.FreePerAccount)
		}
	}
	p.failures = 0
	p.knownUntil = now.Add(t.opts.KnownFor)
}

type limitedCounter struct {
	counter *counter
	free    int
}

// counters returns the counters that bear on an attempt.
func (t *Throttle) counters(address netip.Addr, account string, now time.Time) []limitedCounter {
	var cs []limitedCounter
	network := t.network(address)
	if c, ok := t.addresses.get(network); ok && !t.expired(c, now) {
		cs = append(cs, limitedCounter{c, t.opts.FreePerAddress})
	}
	if p, ok := t.pairs.get(pairKey{network, account}); ok && now.Before(p.knownUntil) && p.failures <= t.opts.FreePerAccount {
		return cs
	}
	if c, ok := t.accounts.get(account); ok && !t.expired(c, now) {
		cs = append(cs, limitedCounter{c, t.opts.FreePerAccount})
	}
	return cs
}

func (t *Throttle) expired(c *counter, now time.Time) bool { return now.Sub(c.last) > t.opts.Window }

func (t *Throttle) count(c *counter, free int, now time.Time) {
	if t.expired(c, now) {
		*c = counter{}
	}
	c.failures++
	c.last = now
	if delay := t.delay(c.failures - free); delay > 0 && c.next.Before(now.Add(delay)) {
		c.next = now.Add(delay)
	}
}

// delay is BaseDelay doubled for each failure beyond the first that is not free.
func (t *Throttle) delay(excess int) time.Duration {
	if excess <= 0 {
		return 0
	}
	delay := t.opts.BaseDelay
	for range excess - 1 {
		if delay >= t.opts.MaxDelay {
			break
		}
		delay *= 2
	}
	return min(delay, t.opts.MaxDelay)
}

func (c *counter) forgive(failures, free int) {
	c.failures = max(0, c.failures-failures)
	if c.failures <= free {
		c.next = time.Time{}
	}
}

func (t *Throttle) pair(key pairKey) *pair {
	p, ok := t.pairs.get(key)
	if !ok {
		p = &pair{}
		t.pairs.put(key, p)
	}
	return p
}

// network is what an address is counted by; the zero Prefix for one that is not counted.
func (t *Throttle) network(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	if !address.IsValid() {
		return netip.Prefix{}
	}
	for _, exempt := range t.opts.Exempt {
		if exempt.Contains(address) {
			return netip.Prefix{}
		}
	}
	bits := 32
	if address.Is6() {
		bits = 64 // what one customer is given: any of its addresses is his to use
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}

// lru is a map of at most max entries that drops the one used longest ago.
type lru[K comparable, V any] struct {
	max     int
	order   *list.List // of lruEntry[K, V], last used in front
	entries map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, order: list.New(), entries: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	el, ok := l.entries[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(el)
	return el.Value.(lruEntry[K, V]).value, true
}

// put adds a key that is not there.
func (l *lru[K, V]) put(key K, value V) {
	if l.order.Len() >= l.max {
		oldest := l.order.Back()
		delete(l.entries, oldest.Value.(lruEntry[K, V]).key)
		l.order.Remove(oldest)
	}
	l.entries[key] = l.order.PushFront(lruEntry[K, V]{key, value})
}
