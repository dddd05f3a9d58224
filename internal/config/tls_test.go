package config_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"angarium/internal/config"
)

const handshakeTimeout = 30 * time.Second

// writePair writes a fresh certificate for host under dir and returns the section that names it. Each file is replaced by a rename.
func writePair(t *testing.T, dir, host string) config.TLS {
	t.Helper()
	c, err := config.SelfSigned(host)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := c.Config().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	section := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), MinVersion: "1.2"}
	for path, block := range map[string]*pem.Block{
		section.Cert: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]},
		section.Key:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	return section
}

// handshake returns the server certificate's first name.
func handshake(serverConfig, clientConfig *tls.Config) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(io.Discard, tls.Server(conn, serverConfig)) // the client sees what went wrong
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer func() { conn.Close(); <-served }()
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return "", err
	}
	client := tls.Client(conn, clientConfig)
	if err := client.Handshake(); err != nil {
		return "", err
	}
	return client.ConnectionState().PeerCertificates[0].DNSNames[0], nil
}

func TestCertificatesReload(t *testing.T) {
	dir := t.TempDir()
	certs, err := writePair(t, dir, "old.example.org").Load()
	if err != nil {
		t.Fatal(err)
	}
	trustAll := &tls.Config{InsecureSkipVerify: true}
	serverConfig := certs.Config()
	want := func(name string) {
		t.Helper()
		if got, err := handshake(serverConfig, trustAll); err != nil || got != name {
			t.Fatalf("the server shows %q, %v; want %q", got, err, name)
		}
	}
	want("old.example.org")
	writePair(t, dir, "new.example.org")
	want("old.example.org")
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	want("new.example.org")
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := certs.Reload(); err == nil {
		t.Error("Reload of a broken key gives no error")
	}
	want("new.example.org")
	if got := certs.Leaf().DNSNames[0]; got != "new.example.org" {
		t.Errorf("Leaf is for %q", got)
	}
}

func TestCertificatesReloadDuringHandshakes(t *testing.T) {
	dir := t.TempDir()
	certs, err := writePair(t, dir, "a.example.org").Load()
	if err != nil {
		t.Fatal(err)
	}
	serverConfig := certs.Config()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if name, err := handshake(serverConfig, &tls.Config{InsecureSkipVerify: true}); err != nil || (name != "a.example.org" && name != "b.example.org") {
					t.Errorf("handshake: %q, %v", name, err)
				}
			}
		})
	}
	for range 25 {
		for _, host := range []string{"b.example.org", "a.example.org"} {
			writePair(t, dir, host)
			if err := certs.Reload(); err != nil {
				t.Error(err)
			}
		}
	}
	wg.Wait()
}

func TestMinVersion(t *testing.T) {
	section := writePair(t, t.TempDir(), "a.example.org")
	for _, tt := range []struct {
		min    string
		client uint16
		ok     bool
	}{
		{"1.2", tls.VersionTLS11, false}, {"1.2", tls.VersionTLS12, true}, {"1.3", tls.VersionTLS12, false}, {"1.3", tls.VersionTLS13, true},
	} {
		section.MinVersion = tt.min
		certs, err := section.Load()
		if err != nil {
			t.Fatal(err)
		}
		_, err = handshake(certs.Config(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tt.client})
		if (err == nil) != tt.ok {
			t.Errorf("min_version %s, client %s: %v", tt.min, tls.VersionName(tt.client), err)
		}
	}
}

func TestTLSLoadErrors(t *testing.T) {
	good := writePair(t, t.TempDir(), "a.example.org")
	if _, err := (config.TLS{MinVersion: "1.2"}).Load(); !errors.Is(err, config.ErrNoCertificate) {
		t.Errorf("no files: %v; want ErrNoCertificate", err)
	}
	for _, section := range []config.TLS{
		{Cert: good.Cert, MinVersion: "1.2"},
		{Cert: good.Cert, Key: good.Key, MinVersion: "1.1"},
		{Cert: good.Key, Key: good.Cert, MinVersion: "1.2"},
		{Cert: good.Cert, Key: writePair(t, t.TempDir(), "b.example.org").Key, MinVersion: "1.2"},
	} {
		if _, err := section.Load(); err == nil || errors.Is(err, config.ErrNoCertificate) {
			t.Errorf("%+v: %v; want an error", section, err)
		}
	}
}

func TestSelfSignedCanBeTrusted(t *testing.T) {
	certs, err := config.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.Reload(); err != nil {
		t.Errorf("Reload: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certs.Leaf())
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := handshake(certs.Config(), &tls.Config{RootCAs: roots, ServerName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := handshake(certs.Config(), &tls.Config{RootCAs: roots, ServerName: "example.org"}); err == nil {
		t.Error("the certificate is good for any name")
	}
}
