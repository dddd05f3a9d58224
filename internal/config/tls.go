package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

const (
	selfSignedFor  = 365 * day
	selfSignedSkew = time.Hour // clocks of clients may be behind
)

// ErrNoCertificate is returned by TLS.Load when no certificate is configured.
var ErrNoCertificate = errors.New("no TLS certificate is configured")

// Certificates is the certificate that a server shows. Reload replaces it for the handshakes to come; connections are not
// touched. It is safe for concurrent use.
type Certificates struct {
	certFile, keyFile string // empty for a self-signed certificate
	minVersion        uint16
	current           atomic.Pointer[tls.Certificate]
}

// Load reads the certificate and key. It returns ErrNoCertificate when neither is set.
func (t TLS) Load() (*Certificates, error) {
	if t.Cert == "" && t.Key == "" {
		return nil, ErrNoCertificate
	}
	minVersion, err := parseTLSVersion(t.MinVersion)
	if err != nil {
		return nil, err
	}
	c := &Certificates{certFile: t.Cert, keyFile: t.Key, minVersion: minVersion}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. On an error the certificate in use stays. It does nothing to a self-signed one.
func (c *Certificates) Reload() error {
	if c.certFile == "" && c.keyFile == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load TLS certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&cert)
	return nil
}

// Config returns a new configuration for a server that always shows the current certificate.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: c.minVersion,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// Leaf is the server's own certificate now in use, for its names and its end of validity.
func (c *Certificates) Leaf() *x509.Certificate { return c.current.Load().Leaf }

// SelfSigned makes a certificate for host names and IP addresses that lasts a year. No client trusts it unasked: it is for
// demonstrations and tests.
func SelfSigned(hosts ...string) (*Certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "angarium (self-signed)"},
		NotBefore:             now.Add(-selfSignedSkew),
		NotAfter:              now.Add(selfSignedFor),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a client can be given it as its authority
	}
	for _, host := range hosts {
		if ip, err := netip.ParseAddr(host); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	c := &Certificates{minVersion: tls.VersionTLS12}
	c.current.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf})
	return c, nil
}

func parseTLSVersion(s string) (uint16, error) {
	switch s {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("TLS version %q: want \"1.2\" or \"1.3\"", s)
}

// WriteSelfSigned writes a self-signed certificate for the hosts, and its key, as PEM files.
func WriteSelfSigned(certFile, keyFile string, hosts ...string) error {
	c, err := SelfSigned(hosts...)
	if err != nil {
		return err
	}
	cert := c.current.Load()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return fmt.Errorf("write self-signed certificate: %w", err)
	}
	err = os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600)
	if err == nil {
		err = os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write self-signed certificate: %w", err)
	}
	return nil
}
