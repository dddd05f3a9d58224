package channel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"angarium/internal/durable"
)

// protocolName is what both ends name in TLS (RFC 7301).
const protocolName = "angarium-channel"

// identityFile holds the listener's certificate and key, as PEM.
const identityFile = "identity.pem"

// identity is the certificate by which joiners know a listener. It is made once and has no end: what counts is its fingerprint.
type identity struct {
	cert        tls.Certificate
	fingerprint Fingerprint
}

// openIdentity reads the identity in dir, or makes one there.
func openIdentity(dir string) (*identity, error) {
	path := filepath.Join(dir, identityFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if text, err = newIdentity(); err == nil {
			err = durable.WriteFile(path, text)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("identity of the channel listener: %w", err)
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("identity of the channel listener: %s: %w", path, err)
	}
	return &identity{cert: cert, fingerprint: sha256.Sum256(cert.Certificate[0])}, nil
}

func newIdentity() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "angarium channel"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // "no end", RFC 5280, section 4.1.2.5
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

func (i *identity) serverTLS() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{i.cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{protocolName},
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true,
	}
}

// clientTLS accepts the one certificate that was pinned, whatever it says of itself.
func clientTLS(pin Fingerprint) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{protocolName}, DynamicRecordSizingDisabled: true,
		InsecureSkipVerify: true, // VerifyConnection does more
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return fmt.Errorf("%w: the listener has no certificate", ErrRefused)
			}
			if got := sha256.Sum256(s.PeerCertificates[0].Raw); Fingerprint(got) != pin {
				return fmt.Errorf("%w: the listener's certificate is %x, the token says %x", ErrRefused, got[:8], pin[:8])
			}
			return nil
		},
	}
}
