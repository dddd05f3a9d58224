package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// What became of an attempt. A *ThrottledError and the errors of the context are the other possibilities.
var (
	// ErrNoAccount is what a Lookup returns for a name that has no account. Authenticator never returns it.
	ErrNoAccount = errors.New("no such account")
	// ErrCredentials: the name or the password is wrong; which of the two is not told. RFC 5530: AUTHENTICATIONFAILED.
	ErrCredentials = errors.New("wrong name or password")
	// ErrDisabled: the credential is right, but the account is barred. RFC 5530: CONTACTADMIN.
	ErrDisabled = errors.New("account is disabled")
	// ErrNotAuthorized: the credential is right, but not for the authorization identity asked for. RFC 5530: AUTHORIZATIONFAILED.
	ErrNotAuthorized = errors.New("not allowed to act as another account")
	// ErrUnavailable: the account store could not be asked; the client should try again. RFC 5530: UNAVAILABLE.
	ErrUnavailable = errors.New("authentication is temporarily unavailable")
	// ErrMalformed: the client's response does not follow the mechanism. IMAP: BAD.
	ErrMalformed = errors.New("malformed authentication exchange")
	// ErrUnknownMechanism: the mechanism is not offered. IMAP: NO [CANNOT].
	ErrUnknownMechanism = errors.New("unsupported authentication mechanism")
)

// Account is what a Lookup knows of an account.
type Account struct {
	Name     string // canonical
	Verifier Verifier
	Disabled bool
}

// Lookup finds an account by its canonical name. It returns ErrNoAccount when there is none, and any other error when it
// can't tell.
type Lookup func(ctx context.Context, name string) (Account, error)

// Identity is who has logged in.
type Identity struct {
	Account       string // canonical name of the account whose mail is served: the authorization identity
	Authenticated string // canonical name of the account whose credential was shown; differs only if MayActAs allowed it
}

// Options configure an Authenticator.
type Options struct {
	Lookup  Lookup   // required
	Checker *Checker // required
	// Throttle may be nil: no throttling.
	Throttle *Throttle
	// DefaultDomain is added to names without a domain; see CanonicalName.
	DefaultDomain string
	// MayActAs says whether the account authcid may log in as another account, authzid; both are canonical and different.
	// An error other than ErrNotAuthorized counts as ErrUnavailable. Nil allows nobody.
	MayActAs func(ctx context.Context, authcid, authzid string) error
	// Wait waits out a delay of the Throttle. Nil means a timer that the context can end.
	Wait func(ctx context.Context, d time.Duration) error
}

// Authenticator checks credentials. It is safe for concurrent use.
type Authenticator struct {
	opts Options
}

// New returns an Authenticator, or an error when a required option is missing.
func New(opts Options) (*Authenticator, error) {
	if opts.Lookup == nil || opts.Checker == nil {
		return nil, errors.New("authenticator: Lookup and Checker are required")
	}
	if opts.Wait == nil {
		opts.Wait = waitTimer
	}
	return &Authenticator{opts: opts}, nil
}

// Credentials are a plain password as LOGIN and PLAIN carry it.
type Credentials struct {
	AuthzID  string // account to act as; empty for the account itself (RFC 4616)
	Name     string
	Password string
}

// CheckPassword logs in with a plain password from the client address remote, which may be invalid (a unix socket).
func (a *Authenticator) CheckPassword(ctx context.Context, remote netip.Addr, cred Credentials) (Identity, error) {
	subject, err := a.find(ctx, remote, cred.Name)
	if err != nil {
		return Identity{}, err
	}
	ok, err := a.opts.Checker.Check(ctx, subject.account.Name, &subject.account.Verifier, cred.Password)
	if err != nil {
		return Identity{}, err
	}
	return a.conclude(ctx, remote, subject, cred.AuthzID, ok)
}

// subject is the account that an attempt is about.
type subject struct {
	account Account
	known   bool   // account is real; otherwise only its Verifier is set, to one that matches nothing
	counted string // name the Throttle counts by; empty for a malformed name
}

// find waits as the Throttle demands and then looks the name up. A name without an account is not an error here.
func (a *Authenticator) find(ctx context.Context, remote netip.Addr, name string) (subject, error) {
	canonical, nameErr := CanonicalName(name, a.opts.DefaultDomain)
	if a.opts.Throttle != nil {
		delay, err := a.opts.Throttle.Attempt(remote, canonical)
		if err != nil {
			return subject{}, err
		}
		if delay > 0 {
			if err := a.opts.Wait(ctx, delay); err != nil {
				return subject{}, fmt.Errorf("wait before a login attempt: %w", err)
			}
		}
	}
	unknown := subject{account: Account{Verifier: a.opts.Checker.UnknownVerifier(canonical)}, counted: canonical}
	if nameErr != nil {
		unknown.account.Verifier = a.opts.Checker.UnknownVerifier(name)
		return unknown, nil
	}
	account, err := a.opts.Lookup(ctx, canonical)
	switch {
	case errors.Is(err, ErrNoAccount):
		return unknown, nil
	case err != nil:
		return subject{}, fmt.Errorf("%w: look up an account: %w", ErrUnavailable, err)
	}
	if err := account.Verifier.Validate(); err != nil {
		return subject{}, fmt.Errorf("%w: account %s: %w", ErrUnavailable, account.Name, err)
	}
	return subject{account: account, known: true, counted: canonical}, nil
}

// conclude turns the outcome of a credential check into an identity.
func (a *Authenticator) conclude(ctx context.Context, remote netip.Addr, s subject, authzid string, ok bool) (Identity, error) {
	if !ok || !s.known {
		if a.opts.Throttle != nil {
			a.opts.Throttle.Failed(remote, s.counted)
		}
		return Identity{}, ErrCredentials
	}
	if a.opts.Throttle != nil {
		a.opts.Throttle.Succeeded(remote, s.counted)
	}
	if s.account.Disabled {
		return Identity{}, ErrDisabled
	}
	return a.authorize(ctx, s.account.Name, authzid)
}

func (a *Authenticator) authorize(ctx context.Context, authcid, authzid string) (Identity, error) {
	if authzid == "" {
		return Identity{Account: authcid, Authenticated: authcid}, nil
	}
	account, err := CanonicalName(authzid, a.opts.DefaultDomain)
	if err != nil {
		return Identity{}, ErrNotAuthorized
	}
	if account != authcid {
		if a.opts.MayActAs == nil {
			return Identity{}, ErrNotAuthorized
		}
		if err := a.opts.MayActAs(ctx, authcid, account); err != nil {
			if errors.Is(err, ErrNotAuthorized) {
				return Identity{}, ErrNotAuthorized
			}
			return Identity{}, fmt.Errorf("%w: may %s act as another account: %w", ErrUnavailable, authcid, err)
		}
	}
	return Identity{Account: account, Authenticated: authcid}, nil
}

func waitTimer(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
