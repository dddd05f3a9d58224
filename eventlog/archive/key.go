package archive

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// keyPrefix begins a key file, which is this and 64 hex digits on one line.
const keyPrefix = "angarium-archive-key-1:"

// Key encrypts the frames of an archive with XChaCha20-Poly1305. Whoever has lost it has lost the archive.
type Key struct {
	aead cipher.AEAD
	id   [8]byte
}

// NewKeyText makes the content of a new key file.
func NewKeyText() string {
	var secret [chacha20poly1305.KeySize]byte
	_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	return keyPrefix + hex.EncodeToString(secret[:]) + "\n"
}

// ParseKey reads the content of a key file.
func ParseKey(text string) (*Key, error) {
	digits, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	secret, err := hex.DecodeString(digits)
	if !ok || err != nil || len(secret) != chacha20poly1305.KeySize {
		return nil, errors.New("this is no archive key: want \"" + keyPrefix + "\" and 64 hex digits")
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return nil, fmt.Errorf("archive key: %w", err)
	}
	k := &Key{aead: aead}
	sum := sha256.Sum256(append([]byte("angarium archive key id\x00"), secret...))
	copy(k.id[:], sum[:])
	return k, nil
}

// LoadKey reads a key file. It must not be readable for everybody.
func LoadKey(path string) (*Key, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("archive key: %w", err)
	}
	if st.Mode()&(fs.ModePerm&0o007) != 0 {
		return nil, fmt.Errorf("archive key: everybody can read %s (hint: chmod 600 %s)", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("archive key: %w", err)
	}
	k, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// ID names the key without giving it away.
func (k *Key) ID() string {
	if k == nil {
		return ""
	}
	return hex.EncodeToString(k.id[:])
}

// seal encrypts a frame: a random nonce of 24 bytes, and the ciphertext with its tag.
func (k *Key) seal(plain, bound []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return k.aead.Seal(nonce, nonce, plain, bound)
}

func (k *Key) open(sealed, bound []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX+chacha20poly1305.Overhead {
		return nil, errors.New("too short to be encrypted")
	}
	nonce, rest := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	plain, err := k.aead.Open(nil, nonce, rest, bound)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not decrypt", ErrKey)
	}
	return plain, nil
}
