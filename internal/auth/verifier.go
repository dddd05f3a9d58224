package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
)

// Bounds of a Verifier and of the passwords it is made from.
const (
	// DefaultIterations is the PBKDF2 cost of a new verifier. RFC 7677 asks for at least 4096. 15000 costs about 3 ms of one
	// core, so that two cores still check some 600 passwords a second that are not in the cache, and a client that uses
	// SCRAM, which pays the same on each login, does not notice; 600000 would cost 120 ms and make a burst of logins after a
	// restart a denial of service. Guesses over the network are the Throttle's business: the count only slows down whoever has
	// stolen the verifiers, and a site that fears that more can raise it.
	DefaultIterations = 15000
	// MinIterations is the least that RFC 7677, section 4, allows, and what clients insist on.
	MinIterations = 4096
	// MaxIterations bounds what an imported verifier can cost: about 0.4 s of one core.
	MaxIterations = 2_000_000
	// MaxPasswordLen bounds a password, in bytes of UTF-8.
	MaxPasswordLen = 1024

	saltLen    = 16
	maxSaltLen = 64
	keyLen     = sha256.Size

	textScheme = "SCRAM-SHA-256"
)

var (
	// ErrBadPassword is wrapped when a password can't be stored: it is empty, too long, not UTF-8 or has a NUL.
	ErrBadPassword = errors.New("password can't be used")
	// ErrBadVerifier is wrapped when a verifier is malformed.
	ErrBadVerifier = errors.New("malformed SCRAM-SHA-256 verifier")
)

// Verifier is what the server keeps of a password: the stored credential of SCRAM-SHA-256 (RFC 5802, section 3; RFC 7677).
// It checks a plain password too. The password can't be recovered from it except by guessing.
type Verifier struct {
	Iterations int
	Salt       []byte // 1 to 64 bytes
	StoredKey  []byte // 32 bytes: H(ClientKey)
	ServerKey  []byte // 32 bytes
}

// NewVerifier makes a verifier of a password with a random salt. Zero iterations mean DefaultIterations.
//
// The password goes through SASLprep (RFC 4013). As in PostgreSQL, a password that SASLprep refuses (code points newer than
// Unicode 3.2, such as emoji, or mixed directions) is used as it is: such passwords exist and work with PLAIN, and with every
// SCRAM client that does not insist on SASLprep.
func NewVerifier(password string, iterations int) (Verifier, error) {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return Verifier{}, fmt.Errorf("make a verifier: %d iterations: want %d to %d", iterations, MinIterations, MaxIterations)
	}
	prepared, err := preparePassword(password)
	if err != nil {
		return Verifier{}, fmt.Errorf("make a verifier: %w", err)
	}
	v := Verifier{Iterations: iterations, Salt: make([]byte, saltLen)}
	rand.Read(v.Salt) // never fails (crypto/rand)
	v.StoredKey, v.ServerKey, err = deriveKeys(prepared, v.Salt, iterations)
	if err != nil {
		return Verifier{}, fmt.Errorf("make a verifier: %w", err)
	}
	return v, nil
}

// Check reports whether the password belongs to the verifier. It takes the time of one PBKDF2 whatever the password, and the
// comparison takes constant time. A malformed verifier matches no password.
func (v *Verifier) Check(password string) bool {
	if v.Validate() != nil {
		return false
	}
	prepared, prepErr := preparePassword(password)
	if prepErr != nil {
		prepared = "" // derived all the same, so that the refusal takes as long as any other
	}
	stored, server, err := deriveKeys(prepared, v.Salt, v.Iterations)
	if err != nil {
		return false
	}
	same := hmac.Equal(stored, v.StoredKey) && hmac.Equal(server, v.ServerKey)
	return same && prepErr == nil
}

// Validate returns an error that wraps ErrBadVerifier unless all fields are within their bounds.
func (v *Verifier) Validate() error {
	switch {
	case v.Iterations < MinIterations || v.Iterations > MaxIterations:
		return fmt.Errorf("%w: %d iterations: want %d to %d", ErrBadVerifier, v.Iterations, MinIterations, MaxIterations)
	case len(v.Salt) == 0 || len(v.Salt) > maxSaltLen:
		return fmt.Errorf("%w: salt of %d bytes: want 1 to %d", ErrBadVerifier, len(v.Salt), maxSaltLen)
	case len(v.StoredKey) != keyLen || len(v.ServerKey) != keyLen:
		return fmt.Errorf("%w: keys of %d and %d bytes: want %d", ErrBadVerifier, len(v.StoredKey), len(v.ServerKey), keyLen)
	}
	return nil
}

// MarshalText returns the verifier as PostgreSQL writes it: "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", with
// the binary parts in base64.
func (v Verifier) MarshalText() ([]byte, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, "%s$%d:%s$%s:%s", textScheme, v.Iterations, b64(v.Salt), b64(v.StoredKey), b64(v.ServerKey)), nil
}

// UnmarshalText reads what MarshalText or PostgreSQL (pg_authid.rolpassword) wrote. Errors wrap ErrBadVerifier.
func (v *Verifier) UnmarshalText(text []byte) error {
	const shape = "want " + textScheme + "$<iterations>:<salt>$<StoredKey>:<ServerKey>"
	parts := strings.Split(string(text), "$")
	if len(parts) != 3 || parts[0] != textScheme {
		return fmt.Errorf("%w: %s", ErrBadVerifier, shape)
	}
	iterations, salt, ok1 := strings.Cut(parts[1], ":")
	stored, server, ok2 := strings.Cut(parts[2], ":")
	if !ok1 || !ok2 {
		return fmt.Errorf("%w: %s", ErrBadVerifier, shape)
	}
	var parsed Verifier
	var err error
	if parsed.Iterations, err = strconv.Atoi(iterations); err != nil {
		return fmt.Errorf("%w: the iteration count is not a number", ErrBadVerifier)
	}
	for _, field := range []struct {
		dst  *[]byte
		text string
		name string
	}{{&parsed.Salt, salt, "salt"}, {&parsed.StoredKey, stored, "StoredKey"}, {&parsed.ServerKey, server, "ServerKey"}} {
		if *field.dst, err = base64.StdEncoding.Strict().DecodeString(field.text); err != nil {
			return fmt.Errorf("%w: the %s is not base64", ErrBadVerifier, field.name)
		}
	}
	if err := parsed.Validate(); err != nil {
		return err
	}
	*v = parsed
	return nil
}

func (v *Verifier) scramCredentials() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations},
		StoredKey:  v.StoredKey,
		ServerKey:  v.ServerKey,
	}
}

// preparePassword applies SASLprep, or leaves the password as it is where SASLprep refuses it.
func preparePassword(password string) (string, error) {
	switch {
	case password == "":
		return "", fmt.Errorf("%w: it is empty", ErrBadPassword)
	case len(password) > MaxPasswordLen:
		return "", fmt.Errorf("%w: it is longer than %d bytes", ErrBadPassword, MaxPasswordLen)
	case !utf8.ValidString(password):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrBadPassword)
	case strings.ContainsRune(password, 0):
		return "", fmt.Errorf("%w: it has a NUL", ErrBadPassword)
	}
	prepared, err := stringprep.SASLprep.Prepare(password)
	if err != nil {
		return password, nil
	}
	if prepared == "" {
		return "", fmt.Errorf("%w: it has no visible character", ErrBadPassword)
	}
	return prepared, nil
}

// deriveKeys computes StoredKey and ServerKey (RFC 5802, section 3).
func deriveKeys(prepared string, salt []byte, iterations int) (storedKey, serverKey []byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, prepared, salt, iterations, keyLen)
	if err != nil {
		return nil, nil, fmt.Errorf("derive keys: %w", err)
	}
	clientKey := hmacSHA256(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	return stored[:], hmacSHA256(salted, "Server Key"), nil
}

func hmacSHA256(key []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		mac.Write([]byte(p))
	}
	return mac.Sum(nil)
}
