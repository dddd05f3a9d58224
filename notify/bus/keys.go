package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"angarium/notify"
)

// Errors of keys.
var (
	// ErrConsumerExists says that there is a consumer of that name.
	ErrConsumerExists = errors.New("consumer exists")
	// ErrNoConsumer says that there is no consumer of that name.
	ErrNoConsumer = errors.New("no such consumer")
	// ErrConsumerName says that a consumer cannot be called that.
	ErrConsumerName = errors.New("bad consumer name: want up to 64 letters, digits, _ and -")
)

// Consumer is a holder of credentials.
type Consumer struct {
	Name    string    `json:"name"`
	Account string    `json:"account,omitempty"` // the mail account whose events he may read; "": all
	Key     string    `json:"key"`               // public key of the NATS user
	Created time.Time `json:"created"`
}

// MaxConsumers bounds the consumers of a site.
const MaxConsumers = 100_000

var consumerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Keys are the keys that sign what the server believes, and the consumers that have credentials. They are kept in one file, whose holder may do
// everything on the server. It is safe for concurrent use within a process; two processes must not write at a time.
type Keys struct {
	path string

	mu      sync.Mutex
	f       keyFile
	changed func(account string, claims string) error // tells a running server; nil: there is none
}

// keyFile is what the file holds.
type keyFile struct {
	Format    int                         `json:"format"`
	Operator  string                      `json:"operator"` // seeds
	System    string                      `json:"system"`
	Main      string                      `json:"main"`
	Accounts  map[string]string           `json:"accounts"` // by mail account: seed of its NATS account
	Consumers []Consumer                  `json:"consumers"`
	Revoked   map[string]map[string]int64 `json:"revoked,omitempty"` // by mail account ("": main): public keys, and when (seconds since 1970)
}

const keyFormat = 1

// OpenKeys reads the keys in a file, or makes new ones.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	ok, err := notify.LoadState(path, &k.f)
	if err != nil {
		return nil, fmt.Errorf("keys of consumers: %w", err)
	}
	if ok {
		if k.f.Format > keyFormat {
			return nil, fmt.Errorf("keys of consumers: %s is of format %d: it was written by a newer program", path, k.f.Format)
		}
		return k, nil
	}
	k.f = keyFile{Format: keyFormat, Accounts: map[string]string{}}
	for _, want := range []struct {
		seed *string
		make func() (nkeys.KeyPair, error)
	}{{&k.f.Operator, nkeys.CreateOperator}, {&k.f.System, nkeys.CreateAccount}, {&k.f.Main, nkeys.CreateAccount}} {
		if *want.seed, err = newSeed(want.make); err != nil {
			return nil, fmt.Errorf("keys of consumers: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keys of consumers: %w", err)
	}
	return k, notify.SaveState(path, k.f)
}

func newSeed(create func() (nkeys.KeyPair, error)) (string, error) {
	pair, err := create()
	if err != nil {
		return "", err
	}
	seed, err := pair.Seed()
	return string(seed), err
}

// pairOf gives the keys of a seed, and the public one.
func pairOf(seed string) (nkeys.KeyPair, string, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, "", err
	}
	public, err := pair.PublicKey()
	return pair, public, err
}

// Add makes a consumer, who may read the events of one mail account, or all when account is "". It returns his credentials in the form of NATS's
// ".creds" files; they are not kept here.
func (k *Keys) Add(name, account string, now time.Time) (creds []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case !consumerName.MatchString(name):
		return nil, fmt.Errorf("%w: %q", ErrConsumerName, name)
	case k.find(name) >= 0:
		return nil, fmt.Errorf("%w: %s", ErrConsumerExists, name)
	case len(k.f.Consumers) >= MaxConsumers:
		return nil, fmt.Errorf("there are %d consumers already", len(k.f.Consumers))
	}
	f := k.copy()
	seed := f.Main
	if account != "" {
		if seed = f.Accounts[account]; seed == "" {
			if seed, err = newSeed(nkeys.CreateAccount); err != nil {
				return nil, fmt.Errorf("add consumer %s: %w", name, err)
			}
			f.Accounts[account] = seed
		}
	}
	token, userSeed, key, err := newUser(seed, name, userPermissions(account))
	if err != nil {
		return nil, fmt.Errorf("add consumer %s: %w", name, err)
	}
	f.Consumers = append(f.Consumers, Consumer{Name: name, Account: account, Key: key, Created: now.UTC().Truncate(time.Second)})
	if err := k.replace(f, account); err != nil {
		return nil, fmt.Errorf("add consumer %s: %w", name, err)
	}
	return jwt.FormatUserConfig(token, []byte(userSeed))
}

// Remove revokes the credentials of a consumer. A running server ends his connections.
func (k *Keys) Remove(name string, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.find(name)
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrNoConsumer, name)
	}
	f := k.copy()
	c := f.Consumers[i]
	f.Consumers = slices.Delete(f.Consumers, i, i+1)
	if f.Revoked == nil {
		f.Revoked = map[string]map[string]int64{}
	}
	if f.Revoked[c.Account] == nil {
		f.Revoked[c.Account] = map[string]int64{}
	}
	f.Revoked[c.Account][c.Key] = now.Unix()
	if err := k.replace(f, c.Account); err != nil {
		return fmt.Errorf("remove consumer %s: %w", name, err)
	}
	return nil
}

// Consumers lists the consumers in order of their names.
func (k *Keys) Consumers() []Consumer {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := slices.Clone(k.f.Consumers)
	slices.SortFunc(list, func(a, b Consumer) int { return compare(a.Name, b.Name) })
	return list
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (k *Keys) find(name string) int {
	return slices.IndexFunc(k.f.Consumers, func(c Consumer) bool { return c.Name == name })
}

// copy gives a file to be changed.
func (k *Keys) copy() keyFile {
	f := k.f
	f.Accounts = map[string]string{}
	for a, s := range k.f.Accounts {
		f.Accounts[a] = s
	}
	f.Consumers = slices.Clone(k.f.Consumers)
	f.Revoked = map[string]map[string]int64{}
	for a, keys := range k.f.Revoked {
		f.Revoked[a] = map[string]int64{}
		for key, at := range keys {
			f.Revoked[a][key] = at
		}
	}
	return f
}

// replace makes a changed file the valid one, and tells the server of the account that changed.
func (k *Keys) replace(f keyFile, account string) error {
	if err := notify.SaveState(k.path, f); err != nil {
		return err
	}
	k.f = f
	if k.changed == nil {
		return nil
	}
	claims, err := f.accountClaims(account)
	if err != nil {
		return err
	}
	return k.changed(account, claims)
}
