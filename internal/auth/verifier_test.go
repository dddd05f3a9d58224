package auth_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"angarium/internal/auth"

	"github.com/xdg-go/scram"
)

// The example of RFC 7677, section 3: user "user", password "pencil". Its proofs were computed from these keys.
const pencil = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestVerifierTextForm(t *testing.T) {
	var v auth.Verifier
	if err := v.UnmarshalText([]byte(pencil)); err != nil {
		t.Fatal(err)
	}
	if !v.Check("pencil") || v.Check("Pencil") {
		t.Error("the verifier of RFC 7677 does not tell pencil from Pencil")
	}
	text, err := v.MarshalText()
	if err != nil || string(text) != pencil {
		t.Errorf("MarshalText() = %s, %v; want %s", text, err, pencil)
	}
}

func TestVerifierTextFormRefuses(t *testing.T) {
	for _, text := range []string{
		"", "SCRAM-SHA-256", "md5abc", strings.Replace(pencil, "256", "1", 1), strings.Replace(pencil, "4096", "1", 1),
		strings.Replace(pencil, "4096", "99999999", 1), strings.Replace(pencil, "4096", "x", 1), strings.Replace(pencil, "W22", "W2", 1),
		strings.Replace(pencil, "W22ZaJ0SNY7soEsUEjb6gQ==", "", 1), pencil + "$", pencil + "AAAA", strings.ReplaceAll(pencil, ":", ""),
	} {
		var v auth.Verifier
		if err := v.UnmarshalText([]byte(text)); !errors.Is(err, auth.ErrBadVerifier) {
			t.Errorf("UnmarshalText(%q) = %v; want ErrBadVerifier", text, err)
		}
	}
	if _, err := (auth.Verifier{}).MarshalText(); !errors.Is(err, auth.ErrBadVerifier) {
		t.Errorf("MarshalText of the zero verifier: %v; want ErrBadVerifier", err)
	}
}

func TestVerifierAgreesWithScramClient(t *testing.T) {
	c, err := scram.SHA256.NewClient("user", "I\u00adX", "")
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, "IX") // SASLprep drops the soft hyphen (RFC 4013, section 3)
	want, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations})
	if err != nil {
		t.Fatal(err)
	}
	if string(want.StoredKey) != string(v.StoredKey) || string(want.ServerKey) != string(v.ServerKey) {
		t.Error("the keys differ from those of the SCRAM client library")
	}
}

func TestVerifierCheck(t *testing.T) {
	for _, password := range []string{"x", "p\u00e4ss w\u00f6rd", "\U0001f511 emoji", "\u05d0a", strings.Repeat("x", auth.MaxPasswordLen)} {
		v := verifier(t, password)
		if !v.Check(password) {
			t.Errorf("%.20q does not match its own verifier", password)
		}
		for _, other := range []string{"", password + "x", strings.Repeat("y", auth.MaxPasswordLen+1), "\xff", "a\x00"} {
			if v.Check(other) {
				t.Errorf("%.20q matches the verifier of %.20q", other, password)
			}
		}
	}
	if (&auth.Verifier{}).Check("") {
		t.Error("the zero verifier matches")
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	for _, password := range []string{"", "a\x00b", "\xff", "\u00ad", strings.Repeat("x", auth.MaxPasswordLen+1)} {
		if _, err := auth.NewVerifier(password, 0); !errors.Is(err, auth.ErrBadPassword) {
			t.Errorf("NewVerifier(%.20q) = %v; want ErrBadPassword", password, err)
		}
	}
	for _, iterations := range []int{-1, 1, auth.MinIterations - 1, auth.MaxIterations + 1} {
		if _, err := auth.NewVerifier("x", iterations); err == nil {
			t.Errorf("%d iterations were accepted", iterations)
		}
	}
}

func TestNewVerifierSaltsDiffer(t *testing.T) {
	a, b := verifier(t, "same"), verifier(t, "same")
	if string(a.Salt) == string(b.Salt) || string(a.StoredKey) == string(b.StoredKey) {
		t.Error("two verifiers of one password are alike")
	}
}

func TestCheckerEndsOldPasswordAtOnce(t *testing.T) {
	ctx := context.Background()
	c := checker(t, auth.CheckerOptions{})
	old, changed := verifier(t, "old"), verifier(t, "new")
	mustCheck(t, c, "ann", &old, "old", true)
	mustCheck(t, c, "ann", &changed, "old", false)
	mustCheck(t, c, "ann", &changed, "new", true)
	if ok, err := c.Check(ctx, "ann", &old, "new"); ok || err != nil {
		t.Errorf("the new password matches the old verifier: %v", err)
	}
	sameSalt := old
	sameSalt.StoredKey = changed.StoredKey
	mustCheck(t, c, "ann", &sameSalt, "old", false)
}

// A check that is cached needs no slot, so with all slots taken it succeeds where any other waits for the context to end.
func TestCheckerCache(t *testing.T) {
	clk := newClock()
	c := checker(t, auth.CheckerOptions{CacheTTL: time.Minute, CacheEntries: 2, Now: clk.Now})
	v := verifier(t, "pw")
	mustCheck(t, c, "ann", &v, "pw", true)
	auth.TakeAllSlots(c)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	cached := func(account, password string) bool {
		ok, err := c.Check(ended, account, &v, password)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return ok
	}
	if !cached("ann", "pw") {
		t.Error("a successful check was not remembered")
	}
	if cached("bob", "pw") || cached("ann", "pw2") {
		t.Error("another account or password was taken from the cache")
	}
	clk.Advance(time.Minute)
	if cached("ann", "pw") {
		t.Error("a check was remembered beyond its time")
	}
	auth.FreeAllSlots(c)
	for _, account := range []string{"a", "b", "c"} {
		mustCheck(t, c, account, &v, "pw", true)
	}
	auth.TakeAllSlots(c)
	if cached("a", "pw") || !cached("b", "pw") || !cached("c", "pw") {
		t.Error("a cache of two does not hold the last two")
	}
	if n := auth.CacheLen(c); n != 2 {
		t.Errorf("a cache of two has %d entries", n)
	}
}

func TestCheckerCacheCanBeSwitchedOff(t *testing.T) {
	c := checker(t, auth.CheckerOptions{CacheTTL: -1})
	v := verifier(t, "pw")
	mustCheck(t, c, "ann", &v, "pw", true)
	auth.TakeAllSlots(c)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if ok, err := c.Check(ended, "ann", &v, "pw"); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v, %v; want to wait for a slot", ok, err)
	}
}

func TestCheckerBoundsWaiting(t *testing.T) {
	c := checker(t, auth.CheckerOptions{CacheTTL: -1, Concurrency: 1, MaxWaiting: 1})
	auth.TakeAllSlots(c)
	ctx, cancel := context.WithCancel(context.Background())
	v := verifier(t, "pw")
	first := make(chan error)
	go func() {
		_, err := c.Check(ctx, "ann", &v, "pw")
		first <- err
	}()
	for auth.Waiting(c) == 0 {
		runtime.Gosched()
	}
	if _, err := c.Check(ctx, "ann", &v, "pw"); !errors.Is(err, auth.ErrBusy) || !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("the second to wait: %v; want ErrBusy", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first to wait: %v; want context.Canceled", err)
	}
}

func TestUnknownVerifierIsStable(t *testing.T) {
	one, two := checker(t, auth.CheckerOptions{Secret: []byte("s")}), checker(t, auth.CheckerOptions{Secret: []byte("s")})
	a, b := one.UnknownVerifier("ghost"), two.UnknownVerifier("ghost")
	if string(a.Salt) != string(b.Salt) || a.Iterations != b.Iterations || a.Validate() != nil {
		t.Error("the salt of an unknown name depends on the process")
	}
	if c := one.UnknownVerifier("ghoul"); string(c.Salt) == string(a.Salt) {
		t.Error("two unknown names have one salt")
	}
	if c := checker(t, auth.CheckerOptions{Secret: []byte("t")}).UnknownVerifier("ghost"); string(c.Salt) == string(a.Salt) {
		t.Error("the salt of an unknown name can be computed without the secret")
	}
}

func mustCheck(t *testing.T, c *auth.Checker, account string, v *auth.Verifier, password string, want bool) {
	t.Helper()
	if ok, err := c.Check(context.Background(), account, v, password); err != nil || ok != want {
		t.Fatalf("Check(%q, %q) = %v, %v; want %v", account, password, ok, err, want)
	}
}

func BenchmarkCheck(b *testing.B) {
	v, err := auth.NewVerifier("secret", 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name string
		ttl  time.Duration
	}{{"cached", time.Hour}, {"uncached", -1}} {
		b.Run(bm.name, func(b *testing.B) {
			c := checker(b, auth.CheckerOptions{CacheTTL: bm.ttl})
			for b.Loop() {
				if ok, err := c.Check(context.Background(), "ann", &v, "secret"); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
