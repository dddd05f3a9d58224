package jslog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

// credentials are what a test server demands: TLS, and an nkey or a password.
type credentials struct {
	server, client *tls.Config
	public, seed   string // of the nkey; seed is a file
}

func newCredentials(t *testing.T) credentials {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "log"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "user.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return credentials{
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		client: &tls.Config{RootCAs: pool},
		public: public, seed: file,
	}
}

func (c credentials) listen(o *server.Options) {
	o.DontListen = false
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
	o.TLS, o.TLSConfig, o.TLSTimeout = true, c.server, 5
	o.Nkeys = []*server.NkeyUser{{Nkey: c.public}}
	o.Users = []*server.User{{Username: "log", Password: "secret"}}
}

func TestConformanceExternal(t *testing.T) {
	creds := newCredentials(t)
	for name, login := range map[string]func(*jslog.ConnectOptions){
		"Nkey":     func(o *jslog.ConnectOptions) { o.NkeySeedFile = creds.seed },
		"Password": func(o *jslog.ConnectOptions) { o.User, o.Password = "log", "secret" },
	} {
		t.Run(name, func(t *testing.T) {
			logtest.Run(t, func(t *testing.T) logtest.Instance {
				e := startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir(), Configure: creds.listen})
				opt := jslog.ConnectOptions{URL: e.ClientURL(), TLS: creds.client, Sync: jslog.SyncAlways}
				login(&opt)
				dial := func(t *testing.T) *jslog.Conn {
					c, err := jslog.Connect(opt)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					return c
				}
				log := create(t, dial(t))
				return logtest.Instance{Log: log, Reopen: func(t *testing.T) eventlog.Log {
					log.Close()
					return open(t, dial(t), eventlog.Mark{})
				}}
			})
		})
	}
}

func TestExternalServerWithoutLoginIsNotReached(t *testing.T) {
	creds := newCredentials(t)
	e := startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir(), Configure: creds.listen})
	for name, opt := range map[string]jslog.ConnectOptions{
		"no credentials": {TLS: creds.client},
		"wrong password": {TLS: creds.client, User: "log", Password: "wrong"},
		"unknown CA":     {TLS: &tls.Config{RootCAs: x509.NewCertPool()}, User: "log", Password: "secret"},
	} {
		opt.URL = e.ClientURL()
		if c, err := jslog.Connect(opt); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("%s: %v, %v, want ErrUnavailable", name, c, err)
		}
	}
}

func TestExternalServerHasToBeKnownToSync(t *testing.T) {
	creds := newCredentials(t)
	e := startEmbedded(t, jslog.EmbeddedOptions{Dir: t.TempDir(), Configure: creds.listen})
	for _, test := range []struct {
		sync jslog.Sync
		want error
	}{{jslog.SyncUnstated, jslog.ErrSync}, {jslog.SyncAlways, nil}, {jslog.SyncUnsafe, jslog.ErrExists}} {
		c, err := jslog.Connect(jslog.ConnectOptions{URL: e.ClientURL(), TLS: creds.client, NkeySeedFile: creds.seed, Sync: test.sync})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		log, err := jslog.Create(testContext(t), c, jslog.StreamConfig{Shard: shard})
		if !errors.Is(err, test.want) {
			t.Errorf("sync %d: %v, want %v", test.sync, err, test.want)
		}
		if err == nil {
			defer log.Close()
		}
	}
}
