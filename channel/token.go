package channel

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenPrefix begins every join token; the number is the version of what follows.
const tokenPrefix = "angarium-join-1."

// tokenSumBytes is the length of the checksum that tells a token that was not copied whole.
const tokenSumBytes = 4

// SecretBytes is the length of a joiner's secret.
const SecretBytes = 32

// Fingerprint is the SHA-256 of a certificate in DER.
type Fingerprint [sha256.Size]byte

// Token lets a node join another. Who holds it can join in the node's name: it is to be kept like a password.
type Token struct {
	Address     string      // of the listener, host:port
	Fingerprint Fingerprint // of the listener's certificate
	Node        string      // name of the node that listens
	Peer        string      // name of the node that joins
	Secret      [SecretBytes]byte
}

type tokenWire struct {
	_           struct{} `cbor:",toarray"`
	Address     string
	Fingerprint []byte
	Node        string
	Peer        string
	Secret      []byte
}

// String gives the token as one line of URL-safe text.
func (t Token) String() string {
	b, err := encode(tokenWire{
		Address: t.Address, Fingerprint: t.Fingerprint[:], Node: t.Node, Peer: t.Peer, Secret: t.Secret[:],
	})
	if err != nil {
		return "" // strings and byte strings can be encoded
	}
	sum := sha256.Sum256(b)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(b, sum[:tokenSumBytes]...))
}

// ParseToken reads what String gives, with white space around it. The error is ErrToken and says what is wrong, without the secret.
func ParseToken(text string) (Token, error) {
	t, err := parseToken(strings.TrimSpace(text))
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	return t, nil
}

func parseToken(text string) (Token, error) {
	switch {
	case text == "":
		return Token{}, errors.New("it is empty")
	case len(text) > maxTokenBytes:
		return Token{}, fmt.Errorf("it has %d characters, at most %d are possible", len(text), maxTokenBytes)
	case !strings.HasPrefix(text, tokenPrefix):
		return Token{}, fmt.Errorf("it does not begin with %q", tokenPrefix)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text[len(tokenPrefix):])
	if err != nil || len(b) <= tokenSumBytes {
		return Token{}, errors.New("it was not copied whole")
	}
	body := b[:len(b)-tokenSumBytes]
	if sum := sha256.Sum256(body); string(sum[:tokenSumBytes]) != string(b[len(body):]) {
		return Token{}, errors.New("it was not copied whole")
	}
	var w tokenWire
	if err := decode(body, &w); err != nil {
		return Token{}, err
	}
	if len(w.Fingerprint) != sha256.Size || len(w.Secret) != SecretBytes {
		return Token{}, errors.New("its fingerprint or secret has the wrong length")
	}
	t := Token{
		Address: w.Address, Fingerprint: Fingerprint(w.Fingerprint), Node: w.Node, Peer: w.Peer, Secret: [SecretBytes]byte(w.Secret),
	}
	return t, t.check()
}

func (t Token) check() error {
	if err := checkAddress(t.Address); err != nil {
		return err
	}
	if err := checkName(t.Node); err != nil {
		return err
	}
	if err := checkName(t.Peer); err != nil {
		return err
	}
	if t.Node == t.Peer {
		return fmt.Errorf("a node cannot join itself (%q)", t.Node)
	}
	return nil
}

func checkAddress(address string) error {
	if len(address) > maxAddressBytes {
		return fmt.Errorf("address of %d bytes, at most %d are possible", len(address), maxAddressBytes)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || port == "0" {
		return fmt.Errorf("%q is no address of the form host:port", address)
	}
	return nil
}

// checkName holds names of nodes to what fits into a line of a log or a table.
func checkName(name string) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) {
		return fmt.Errorf("%q is no name of a node: 1 to %d bytes of UTF-8", name, maxNameBytes)
	}
	for _, r := range name {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return fmt.Errorf("%q is no name of a node: no white space or control characters", name)
		}
	}
	return nil
}
