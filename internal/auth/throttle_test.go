package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"angarium/internal/auth"
)

func throttle(clk *clock) *auth.Throttle {
	return auth.NewThrottle(auth.ThrottleOptions{
		FreePerAddress: 4, FreePerAccount: 2, Window: 10 * time.Minute, BaseDelay: time.Second, MaxDelay: time.Minute,
		MaxWait: 10 * time.Second, KnownFor: time.Hour, MaxEntries: 100, Now: clk.Now,
		Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
}

func wantDelay(t *testing.T, th *auth.Throttle, addr, account string, want time.Duration) {
	t.Helper()
	got, err := th.Attempt(netip.MustParseAddr(addr), account)
	if err != nil || got != want {
		t.Fatalf("Attempt(%s, %s) = %v, %v; want %v", addr, account, got, err, want)
	}
}

func fail(th *auth.Throttle, addr, account string, times int) {
	for range times {
		th.Failed(netip.MustParseAddr(addr), account)
	}
}

func TestThrottleDelaysGrowAndThenRefuse(t *testing.T) {
	clk := newClock()
	th := throttle(clk)
	fail(th, "192.0.2.1", "ann", 2)
	wantDelay(t, th, "192.0.2.1", "ann", 0)
	for _, want := range []time.Duration{1, 2, 4, 8} {
		fail(th, "192.0.2.1", "ann", 1)
		wantDelay(t, th, "192.0.2.1", "ann", want*time.Second)
		clk.Advance(want * time.Second)
	}
	fail(th, "192.0.2.1", "ann", 1)
	_, err := th.Attempt(netip.MustParseAddr("192.0.2.1"), "ann")
	var throttled *auth.ThrottledError
	if !errors.As(err, &throttled) || throttled.RetryAfter != 16*time.Second {
		t.Fatalf("Attempt = %v; want to be refused for 16s", err)
	}
	fail(th, "192.0.2.1", "ann", 50)
	if _, err := th.Attempt(netip.MustParseAddr("192.0.2.1"), "ann"); !errors.As(err, &throttled) || throttled.RetryAfter != time.Minute {
		t.Fatalf("Attempt = %v; want to be refused for MaxDelay", err)
	}
}

func TestThrottleForgetsAfterTheWindow(t *testing.T) {
	clk := newClock()
	th := throttle(clk)
	fail(th, "192.0.2.1", "ann", 20)
	clk.Advance(10*time.Minute + 1)
	wantDelay(t, th, "192.0.2.1", "ann", 0)
	fail(th, "192.0.2.1", "ann", 2)
	wantDelay(t, th, "192.0.2.1", "ann", 0)
}

func TestThrottleSpacesParallelAttempts(t *testing.T) {
	clk := newClock()
	th := throttle(clk)
	fail(th, "192.0.2.1", "ann", 3)
	wantDelay(t, th, "192.0.2.1", "ann", 1*time.Second)
	wantDelay(t, th, "192.0.2.1", "ann", 2*time.Second)
	wantDelay(t, th, "192.0.2.1", "ann", 3*time.Second)
}

func TestThrottleCountsByAddress(t *testing.T) {
	for _, tt := range []struct {
		name, from, then string
		slowed           bool
	}{
		{"same address", "192.0.2.1", "192.0.2.1", true},
		{"other address", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 in IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"same /64", "2001:db8::1", "2001:db8::ffff:1", true},
		{"other /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"zone", "fe80::1%a", "fe80::2%b", true},
		{"exempt", "10.1.2.3", "10.1.2.3", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			th := throttle(newClock())
			for i := range 5 {
				fail(th, tt.from, fmt.Sprint("guess", i), 1)
			}
			var want time.Duration
			if tt.slowed {
				want = time.Second
			}
			wantDelay(t, th, tt.then, "other", want)
		})
	}
}

func TestThrottleCountsByAccountAcrossAddresses(t *testing.T) {
	th := throttle(newClock())
	for i := range 3 {
		fail(th, fmt.Sprintf("198.51.100.%d", i), "ann", 1)
	}
	wantDelay(t, th, "203.0.113.1", "ann", time.Second)
	wantDelay(t, th, "203.0.113.1", "bob", 0)
}

func TestThrottleSuccessTakesBackOnlyItsOwnFailures(t *testing.T) {
	clk := newClock()
	th := throttle(clk)
	fail(th, "192.0.2.1", "ann", 3)
	fail(th, "192.0.2.1", "bob", 2)
	th.Succeeded(netip.MustParseAddr("192.0.2.1"), "ann")
	wantDelay(t, th, "192.0.2.1", "ann", 0)
	fail(th, "192.0.2.1", "mallory", 2) // with bob's 2: the 4 free ones are used up
	wantDelay(t, th, "192.0.2.1", "eve", 0)
	th.Succeeded(netip.MustParseAddr("192.0.2.1"), "ann")
	fail(th, "192.0.2.1", "mallory", 1)
	wantDelay(t, th, "192.0.2.1", "eve", time.Second)
}

func TestThrottleSparesAKnownAddress(t *testing.T) {
	clk := newClock()
	th := throttle(clk)
	th.Succeeded(netip.MustParseAddr("192.0.2.1"), "ann")
	for i := range 30 {
		fail(th, fmt.Sprintf("198.51.100.%d", i), "ann", 1)
	}
	wantDelay(t, th, "192.0.2.1", "ann", 0)
	if _, err := th.Attempt(netip.MustParseAddr("203.0.113.1"), "ann"); err == nil {
		t.Error("a stranger is let through")
	}
	fail(th, "192.0.2.1", "ann", 3)
	if _, err := th.Attempt(netip.MustParseAddr("192.0.2.1"), "ann"); err == nil {
		t.Error("a known address may guess without end")
	}
}

func TestThrottleIgnoresWhatItCannotName(t *testing.T) {
	th := throttle(newClock())
	for range 50 {
		th.Failed(netip.Addr{}, "")
	}
	if d, err := th.Attempt(netip.Addr{}, ""); d != 0 || err != nil {
		t.Errorf("Attempt = %v, %v; want no delay", d, err)
	}
}

func TestThrottleTablesAreBounded(t *testing.T) {
	th := throttle(newClock())
	for i := range 1000 {
		fail(th, fmt.Sprintf("198.51.%d.%d", i/200, i%200), fmt.Sprint("a", i), 1)
	}
	if a, b, c := auth.TableLens(th); a != 100 || b != 100 || c != 100 {
		t.Errorf("tables of 100 have %d, %d, %d entries", a, b, c)
	}
}
