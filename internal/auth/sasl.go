package auth

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// Names of the SASL mechanisms.
const (
	MechPlain       = "PLAIN"         // RFC 4616
	MechLogin       = "LOGIN"         // draft-murchison-sasl-login; obsolete, still what some clients insist on
	MechScramSHA256 = "SCRAM-SHA-256" // RFC 7677
)

// MaxResponseLen bounds a client response, in bytes after base64 decoding: two names, a password and the SCRAM attributes.
const MaxResponseLen = 4096

// Mechanisms lists the mechanisms of SASLServer, the best first. Those for which SendsPassword holds should be offered only
// where the connection hides the password.
func Mechanisms() []string { return []string{MechScramSHA256, MechPlain, MechLogin} }

// SendsPassword reports whether a mechanism shows the password to whoever reads the connection.
func SendsPassword(mech string) bool { return mech == MechPlain || mech == MechLogin }

// SASLServer is the server side of one SASL exchange (RFC 4422). It is for one goroutine and one exchange.
type SASLServer struct {
	step     step // nil when the exchange is over
	identity Identity
	started  bool
}

// A step consumes one response. It returns the step for the next response; nil with a nil error means success.
type step func(response []byte) (challenge []byte, next step, err error)

var _ sasl.Server = (*SASLServer)(nil)

// SASLServer begins an exchange with a client at the address remote, which may be invalid (a unix socket). The mechanism's
// name is case-insensitive; the error for an unknown one is ErrUnknownMechanism. The context serves the whole exchange.
func (a *Authenticator) SASLServer(ctx context.Context, remote netip.Addr, mech string) (*SASLServer, error) {
	s := &SASLServer{}
	attempt := &attempt{auth: a, ctx: ctx, remote: remote, server: s}
	switch strings.ToUpper(mech) {
	case MechPlain:
		s.step = attempt.plain
	case MechLogin:
		s.step = attempt.loginName
	case MechScramSHA256:
		first, err := attempt.newScram()
		if err != nil {
			return nil, err
		}
		s.step = first
	default:
		return nil, fmt.Errorf("%w: %.40q", ErrUnknownMechanism, mech)
	}
	return s, nil
}

// Next consumes a response and returns the next challenge, both without base64. The first call has the initial response: nil
// if there was none, empty but not nil if there was an empty one (RFC 4959: "="). Done means success: Identity tells who it
// is, and there is no challenge. After an error, or when done, every further call fails with ErrMalformed.
func (s *SASLServer) Next(response []byte) (challenge []byte, done bool, err error) {
	current := s.step
	s.step = nil
	if current == nil {
		return nil, false, fmt.Errorf("%w: the exchange is over", ErrMalformed)
	}
	if len(response) > MaxResponseLen {
		return nil, false, fmt.Errorf("%w: response longer than %d bytes", ErrMalformed, MaxResponseLen)
	}
	if response == nil && s.started {
		response = []byte{} // only the initial response can be missing
	}
	s.started = true
	challenge, next, err := current(response)
	if err != nil {
		return nil, false, err
	}
	s.step = next
	return challenge, next == nil, nil
}

// Identity is who has logged in; the zero Identity unless Next said done.
func (s *SASLServer) Identity() Identity { return s.identity }

// attempt is what the steps of an exchange share. It holds a context because sasl.Server passes none.
type attempt struct {
	auth   *Authenticator
	ctx    context.Context
	remote netip.Addr
	server *SASLServer

	loginUser string

	conversation *scram.ServerConversation
	subject      subject
}

// plain is the only step of PLAIN.
func (a *attempt) plain(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte{}, a.plain, nil
	}
	cred, err := parsePlain(response)
	if err != nil {
		return nil, nil, err
	}
	return nil, nil, a.checkPassword(cred)
}

// parsePlain splits "[authzid] NUL authcid NUL passwd" (RFC 4616, section 2).
func parsePlain(response []byte) (Credentials, error) {
	parts := bytes.Split(response, []byte{0})
	switch {
	case len(parts) != 3:
		return Credentials{}, fmt.Errorf("%w: PLAIN: want two NULs", ErrMalformed)
	case len(parts[1]) == 0 || len(parts[2]) == 0:
		return Credentials{}, fmt.Errorf("%w: PLAIN: empty name or password", ErrMalformed)
	case !utf8.Valid(response):
		return Credentials{}, fmt.Errorf("%w: PLAIN: not UTF-8", ErrMalformed)
	}
	return Credentials{AuthzID: string(parts[0]), Name: string(parts[1]), Password: string(parts[2])}, nil
}

// loginName is the first step of LOGIN. Some clients send the name at once, as an initial response.
func (a *attempt) loginName(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte("Username:"), a.loginName, nil
	}
	if len(response) == 0 || !validText(response) {
		return nil, nil, fmt.Errorf("%w: LOGIN: the name is empty, or not text", ErrMalformed)
	}
	a.loginUser = string(response)
	return []byte("Password:"), a.loginPassword, nil
}

func (a *attempt) loginPassword(response []byte) ([]byte, step, error) {
	if len(response) == 0 || !validText(response) {
		return nil, nil, fmt.Errorf("%w: LOGIN: the password is empty, or not text", ErrMalformed)
	}
	return nil, nil, a.checkPassword(Credentials{Name: a.loginUser, Password: string(response)})
}

func validText(b []byte) bool { return utf8.Valid(b) && !bytes.Contains(b, []byte{0}) }

func (a *attempt) checkPassword(cred Credentials) (err error) {
	a.server.identity, err = a.auth.CheckPassword(a.ctx, a.remote, cred)
	return err
}
