package auth_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"angarium/internal/auth"
)

const domain = "example.org"

var (
	client = netip.MustParseAddr("192.0.2.7")
	start  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// clock is a time that only moves when told.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: start} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func verifier(t testing.TB, password string) auth.Verifier {
	t.Helper()
	v, err := auth.NewVerifier(password, auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func checker(t testing.TB, opts auth.CheckerOptions) *auth.Checker {
	t.Helper()
	opts.Iterations = auth.MinIterations
	c, err := auth.NewChecker(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// authenticator knows ann ("secret"), bob ("hunter2") and the disabled dan ("gone"), all at example.org. change may adapt the options.
func authenticator(t testing.TB, change func(*auth.Options)) *auth.Authenticator {
	t.Helper()
	accounts := map[string]auth.Account{
		"ann@example.org": {Verifier: verifier(t, "secret")},
		"bob@example.org": {Verifier: verifier(t, "hunter2")},
		"dan@example.org": {Verifier: verifier(t, "gone"), Disabled: true},
	}
	opts := auth.Options{
		Checker:       checker(t, auth.CheckerOptions{Secret: []byte("test")}),
		DefaultDomain: domain,
		Lookup: func(_ context.Context, name string) (auth.Account, error) {
			account, ok := accounts[name]
			if !ok {
				return auth.Account{}, auth.ErrNoAccount
			}
			account.Name = name
			return account, nil
		},
	}
	if change != nil {
		change(&opts)
	}
	a, err := auth.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
