package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"angarium/internal/auth"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

func server(t testing.TB, a *auth.Authenticator, mech string) *auth.SASLServer {
	t.Helper()
	s, err := a.SASLServer(context.Background(), client, mech)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlain(t *testing.T) {
	a := authenticator(t, nil)
	for _, tt := range []struct {
		name, response string
		want           error
	}{
		{"without authzid", "\x00ann\x00secret", nil},
		{"with domain", "\x00Ann@EXAMPLE.org\x00secret", nil},
		{"authzid is authcid", "ann@example.org\x00ann\x00secret", nil},
		{"other authzid", "bob\x00ann\x00secret", auth.ErrNotAuthorized},
		{"malformed authzid", "a/b\x00ann\x00secret", auth.ErrNotAuthorized},
		{"other authzid, wrong password", "bob\x00ann\x00no", auth.ErrCredentials},
		{"wrong password", "\x00ann\x00Secret", auth.ErrCredentials},
		{"unknown account", "\x00nobody\x00secret", auth.ErrCredentials},
		{"malformed name", "\x00a/b\x00secret", auth.ErrCredentials},
		{"disabled", "\x00dan\x00gone", auth.ErrDisabled},
		{"disabled, wrong password", "\x00dan\x00x", auth.ErrCredentials},
		{"empty", "", auth.ErrMalformed},
		{"empty name", "\x00\x00secret", auth.ErrMalformed},
		{"empty password", "\x00ann\x00", auth.ErrMalformed},
		{"one NUL", "ann\x00secret", auth.ErrMalformed},
		{"three NULs", "\x00ann\x00sec\x00ret", auth.ErrMalformed},
		{"not UTF-8", "\x00ann\x00\xff", auth.ErrMalformed},
		{"too long", "\x00ann\x00" + strings.Repeat("x", auth.MaxResponseLen), auth.ErrMalformed},
		{"password too long", "\x00ann\x00" + strings.Repeat("x", auth.MaxPasswordLen+1), auth.ErrCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t, a, "plain")
			challenge, done, err := s.Next([]byte(tt.response))
			if !errors.Is(err, tt.want) || done != (tt.want == nil) || challenge != nil {
				t.Fatalf("Next = %q, %v, %v; want %v", challenge, done, err, tt.want)
			}
			want := auth.Identity{}
			if tt.want == nil {
				want = auth.Identity{Account: "ann@example.org", Authenticated: "ann@example.org"}
			}
			if s.Identity() != want {
				t.Errorf("Identity = %+v; want %+v", s.Identity(), want)
			}
			if _, _, err := s.Next([]byte("\x00ann\x00secret")); !errors.Is(err, auth.ErrMalformed) {
				t.Errorf("Next after the end: %v; want ErrMalformed", err)
			}
		})
	}
}

func TestPlainWithoutInitialResponse(t *testing.T) {
	s := server(t, authenticator(t, nil), auth.MechPlain)
	challenge, done, err := s.Next(nil)
	if challenge == nil || len(challenge) != 0 || done || err != nil {
		t.Fatalf("Next(nil) = %v, %v, %v; want an empty challenge", challenge, done, err)
	}
	if _, done, err := s.Next([]byte("\x00ann\x00secret")); !done || err != nil {
		t.Fatalf("Next = %v, %v; want success", done, err)
	}
}

func TestSecondNilResponseIsEmpty(t *testing.T) {
	for _, mech := range auth.Mechanisms() {
		s := server(t, authenticator(t, nil), mech)
		if _, _, err := s.Next(nil); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Next(nil); !errors.Is(err, auth.ErrMalformed) {
			t.Errorf("%s: second Next(nil): %v; want ErrMalformed", mech, err)
		}
	}
}

func TestMayActAs(t *testing.T) {
	a := authenticator(t, func(o *auth.Options) {
		o.MayActAs = func(_ context.Context, authcid, authzid string) error {
			switch {
			case authcid == "bob@example.org" && authzid == "ann@example.org":
				return nil
			case authzid == "broken@example.org":
				return errors.New("store is down")
			}
			return auth.ErrNotAuthorized
		}
	})
	for _, tt := range []struct {
		response string
		account  string
		want     error
	}{
		{"ann\x00bob\x00hunter2", "ann@example.org", nil},
		{"bob\x00ann\x00secret", "", auth.ErrNotAuthorized},
		{"broken\x00ann\x00secret", "", auth.ErrUnavailable},
	} {
		s := server(t, a, auth.MechPlain)
		_, _, err := s.Next([]byte(tt.response))
		if !errors.Is(err, tt.want) || s.Identity().Account != tt.account {
			t.Errorf("%q: %+v, %v; want %q, %v", tt.response, s.Identity(), err, tt.account, tt.want)
		}
	}
}

func TestLogin(t *testing.T) {
	a := authenticator(t, nil)
	for _, tt := range []struct {
		name      string
		responses []string // "-" stands for no initial response
		want      error
	}{
		{"prompted", []string{"-", "ann", "secret"}, nil},
		{"name at once", []string{"ann", "secret"}, nil},
		{"wrong password", []string{"-", "ann", "no"}, auth.ErrCredentials},
		{"unknown account", []string{"-", "nobody", "secret"}, auth.ErrCredentials},
		{"disabled", []string{"-", "dan", "gone"}, auth.ErrDisabled},
		{"empty initial response", []string{""}, auth.ErrMalformed},
		{"empty name", []string{"-", ""}, auth.ErrMalformed},
		{"empty password", []string{"-", "ann", ""}, auth.ErrMalformed},
		{"NUL in the name", []string{"a\x00b"}, auth.ErrMalformed},
		{"not UTF-8", []string{"ann", "\xff"}, auth.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := server(t, a, auth.MechLogin)
			prompts := []string{"Username:", "Password:"}
			if tt.responses[0] != "-" {
				prompts = prompts[1:]
			}
			for i, r := range tt.responses {
				response := []byte(r)
				if r == "-" {
					response = nil
				}
				challenge, done, err := s.Next(response)
				if i == len(tt.responses)-1 {
					if !errors.Is(err, tt.want) || done != (tt.want == nil) {
						t.Fatalf("Next = %v, %v; want %v", done, err, tt.want)
					}
					return
				}
				if err != nil || done || string(challenge) != prompts[i] {
					t.Fatalf("Next = %q, %v, %v; want %q", challenge, done, err, prompts[i])
				}
			}
		})
	}
}

func TestServerWorksWithTheClientLibrary(t *testing.T) {
	for _, c := range []sasl.Client{
		sasl.NewPlainClient("", "ann", "secret"),
		sasl.NewPlainClient("ann", "ann", "secret"),
		sasl.NewLoginClient("ann", "secret"),
	} {
		mech, response, err := c.Start()
		if err != nil {
			t.Fatal(err)
		}
		s := server(t, authenticator(t, nil), mech)
		for done := false; !done; {
			var challenge []byte
			if challenge, done, err = s.Next(response); err != nil {
				t.Fatalf("%s: %v", mech, err)
			}
			if !done {
				if response, err = c.Next(challenge); err != nil {
					t.Fatalf("%s: %v", mech, err)
				}
			}
		}
	}
}

// scramLogin plays xdg-go's client against the server and returns the server's first message.
func scramLogin(t *testing.T, a *auth.Authenticator, conv *scram.ClientConversation) (serverFirst string, s *auth.SASLServer, err error) {
	t.Helper()
	s = server(t, a, auth.MechScramSHA256)
	clientFirst, err := conv.Step("")
	if err != nil {
		t.Fatal(err)
	}
	first, done, err := s.Next([]byte(clientFirst))
	if err != nil || done {
		return "", s, err
	}
	clientFinal, err := conv.Step(string(first))
	if err != nil {
		t.Fatal(err)
	}
	final, done, err := s.Next([]byte(clientFinal))
	if err != nil {
		return string(first), s, err
	}
	if done || s.Identity() != (auth.Identity{}) {
		t.Fatal("the server is done before the client has seen its proof")
	}
	if _, err := conv.Step(string(final)); err != nil || !conv.Valid() {
		t.Fatalf("the client does not accept the server: %v", err)
	}
	_, done, err = s.Next([]byte{})
	if err == nil && !done {
		t.Fatal("the exchange does not end")
	}
	return string(first), s, err
}

func TestScram(t *testing.T) {
	a := authenticator(t, nil)
	for _, tt := range []struct {
		name, user, password, authzid string
		want                          error
	}{
		{"right", "Ann", "secret", "", nil},
		{"same authzid", "ann", "secret", "ann@example.org", nil},
		{"other authzid", "ann", "secret", "bob", auth.ErrNotAuthorized},
		{"wrong password", "ann", "no", "", auth.ErrCredentials},
		{"unknown account", "nobody", "secret", "", auth.ErrCredentials},
		{"malformed name", "a=b,c", "secret", "", auth.ErrCredentials},
		{"disabled", "dan", "gone", "", auth.ErrDisabled},
		{"disabled, wrong password", "dan", "no", "", auth.ErrCredentials},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := scram.SHA256.NewClient(tt.user, tt.password, tt.authzid)
			if err != nil {
				t.Fatal(err)
			}
			for _, conv := range []*scram.ClientConversation{c.NewConversation(), c.NewConversationAdvertisingChannelBinding()} {
				_, s, err := scramLogin(t, a, conv)
				if !errors.Is(err, tt.want) {
					t.Fatalf("login: %v; want %v", err, tt.want)
				}
				if tt.want == nil && s.Identity().Account != "ann@example.org" {
					t.Errorf("Identity = %+v", s.Identity())
				}
			}
		})
	}
}

func TestScramRefusesAResponseAfterTheEnd(t *testing.T) {
	c, err := scram.SHA256.NewClient("ann", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	conv := c.NewConversation()
	s := server(t, authenticator(t, nil), auth.MechScramSHA256)
	var challenge []byte
	for range 2 {
		response, err := conv.Step(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		if challenge, _, err = s.Next([]byte(response)); err != nil {
			t.Fatal(err)
		}
	}
	if _, done, err := s.Next([]byte("more")); done || !errors.Is(err, auth.ErrMalformed) || s.Identity() != (auth.Identity{}) {
		t.Errorf("Next = %v, %v, %+v; want ErrMalformed", done, err, s.Identity())
	}
}

func TestScramUnknownNameLooksReal(t *testing.T) {
	salt := func(user string) string {
		c, err := scram.SHA256.NewClient(user, "x", "")
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := scramLogin(t, authenticator(t, nil), c.NewConversation())
		_, salt, _ := strings.Cut(first, ",")
		return salt
	}
	if a, b := salt("ghost"), salt("GHOST@example.org"); a != b || len(a) != len(salt("ann")) {
		t.Errorf("salt and count of an unknown name: %q, then %q; of a known one: %q", a, b, salt("ann"))
	}
}

func TestScramMalformed(t *testing.T) {
	a := authenticator(t, nil)
	for _, first := range []string{"", "n", "n,,", "n,,n=ann", "p=tls-exporter,,n=ann,r=x", "x,,n=ann,r=x", "n,,m=1,n=ann,r=x", "n,,n=a=2,r=x", "n,,n=\xff,r=x", "\x00"} {
		if _, _, err := server(t, a, auth.MechScramSHA256).Next([]byte(first)); !errors.Is(err, auth.ErrMalformed) {
			t.Errorf("client-first-message %q: %v; want ErrMalformed", first, err)
		}
	}
	for _, final := range []string{"", "c=biws,r=x,p=eA==", "p=secret", "c=biws"} {
		s := server(t, a, auth.MechScramSHA256)
		if _, _, err := s.Next([]byte("n,,n=ann,r=x")); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Next([]byte(final))
		if !errors.Is(err, auth.ErrMalformed) || strings.Contains(err.Error(), "secret") {
			t.Errorf("client-final-message %q: %v; want ErrMalformed that does not quote it", final, err)
		}
	}
}

func TestStoreFailureIsNotAWrongPassword(t *testing.T) {
	a := authenticator(t, func(o *auth.Options) {
		o.Lookup = func(context.Context, string) (auth.Account, error) { return auth.Account{}, errors.New("disk on fire") }
		o.Throttle = auth.NewThrottle(auth.ThrottleOptions{FreePerAccount: 1, Now: newClock().Now})
		o.Wait = func(context.Context, time.Duration) error {
			t.Error("a failure of the store was held against the client")
			return nil
		}
	})
	for range 5 {
		_, _, err := server(t, a, auth.MechPlain).Next([]byte("\x00ann\x00secret"))
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrCredentials) {
			t.Errorf("PLAIN: %v; want ErrUnavailable", err)
		}
		_, _, err = server(t, a, auth.MechScramSHA256).Next([]byte("n,,n=ann,r=x"))
		if !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrMalformed) {
			t.Errorf("SCRAM: %v; want ErrUnavailable", err)
		}
	}
}

func TestGuessesAreThrottledInEveryMechanism(t *testing.T) {
	clk := newClock()
	var waits []time.Duration
	a := authenticator(t, func(o *auth.Options) {
		o.Throttle = auth.NewThrottle(auth.ThrottleOptions{FreePerAccount: 2, MaxWait: 2 * time.Second, Now: clk.Now})
		o.Wait = func(_ context.Context, d time.Duration) error {
			waits = append(waits, d)
			clk.Advance(d)
			return nil
		}
	})
	guess := func(mech string) error {
		if mech == auth.MechScramSHA256 {
			c, err := scram.SHA256.NewClient("ann", "guess", "")
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = scramLogin(t, a, c.NewConversation())
			return err
		}
		_, err := a.CheckPassword(context.Background(), client, auth.Credentials{Name: "ann", Password: "guess"})
		return err
	}
	for _, mech := range []string{auth.MechScramSHA256, auth.MechPlain, auth.MechScramSHA256, auth.MechPlain, auth.MechScramSHA256} {
		if err := guess(mech); !errors.Is(err, auth.ErrCredentials) {
			if _, ok := errors.AsType[*auth.ThrottledError](err); !ok {
				t.Fatalf("%s: %v", mech, err)
			}
		}
	}
	if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(waits, want) {
		t.Errorf("waited %v; want %v, and then to be refused", waits, want)
	}
	_, err := a.CheckPassword(context.Background(), client, auth.Credentials{Name: "ann", Password: "secret"})
	if _, ok := errors.AsType[*auth.ThrottledError](err); !ok {
		t.Errorf("the next attempt: %v; want ThrottledError", err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	a := authenticator(t, func(o *auth.Options) {
		o.Throttle = auth.NewThrottle(auth.ThrottleOptions{FreePerAccount: 1, BaseDelay: time.Hour, MaxDelay: time.Hour, MaxWait: time.Hour, Now: newClock().Now})
	})
	for range 2 {
		if _, err := a.CheckPassword(context.Background(), netip.Addr{}, auth.Credentials{Name: "ann", Password: "x"}); !errors.Is(err, auth.ErrCredentials) {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.CheckPassword(ctx, netip.Addr{}, auth.Credentials{Name: "ann", Password: "secret"}); !errors.Is(err, context.Canceled) {
		t.Errorf("CheckPassword = %v; want context.Canceled", err)
	}
}

func TestMechanisms(t *testing.T) {
	for mech, want := range map[string]bool{auth.MechPlain: true, auth.MechLogin: true, auth.MechScramSHA256: false} {
		if auth.SendsPassword(mech) != want || !slices.Contains(auth.Mechanisms(), mech) {
			t.Errorf("SendsPassword(%q) = %v, or it is not offered", mech, !want)
		}
	}
	for _, mech := range []string{"", "GSSAPI", "SCRAM-SHA-256-PLUS", "EXTERNAL", "PLAIN\r\nX"} {
		if _, err := authenticator(t, nil).SASLServer(context.Background(), client, mech); !errors.Is(err, auth.ErrUnknownMechanism) {
			t.Errorf("%q: %v; want ErrUnknownMechanism", mech, err)
		}
	}
}

func FuzzParsePlain(f *testing.F) {
	for _, s := range []string{"", "\x00ann\x00secret", "bob\x00ann\x00secret", "\x00\x00", "a\x00b\x00c\x00d", "\x00\xff\x00x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		cred, err := auth.ParsePlain(response)
		if err != nil {
			if !errors.Is(err, auth.ErrMalformed) || cred != (auth.Credentials{}) {
				t.Fatalf("ParsePlain(%q) = %+v, %v", response, cred, err)
			}
			return
		}
		if cred.Name == "" || cred.Password == "" || cred.AuthzID+"\x00"+cred.Name+"\x00"+cred.Password != string(response) {
			t.Fatalf("ParsePlain(%q) = %+v", response, cred)
		}
	})
}

func FuzzScramServer(f *testing.F) {
	a := authenticator(f, nil)
	f.Add([]byte("n,,n=ann,r=x"), []byte("c=biws,r=x,p=eA=="))
	f.Add([]byte("y,a=bob,n=a=2Cb,r=,x=1"), []byte("c=,r=,p="))
	f.Fuzz(func(t *testing.T, first, final []byte) {
		s, err := a.SASLServer(context.Background(), client, auth.MechScramSHA256)
		if err != nil {
			t.Fatal(err)
		}
		if _, done, err := s.Next(first); done || err != nil {
			if done {
				t.Fatal("done after the first message")
			}
			return
		}
		if _, _, err := s.Next(final); err == nil {
			t.Fatalf("%q, %q: logged in without the password", first, final)
		}
	})
}
