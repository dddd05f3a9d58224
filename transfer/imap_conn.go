package transfer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// The ways to protect a connection.
const (
	TLS       = "tls"      // from the beginning; the default
	StartTLS  = "starttls" // RFC 9051, section 6.2.1
	Plaintext = "none"
)

// IMAPOptions says how to reach an account on an IMAP server.
type IMAPOptions struct {
	Address  string // host:port
	TLS      string // one of the constants
	Insecure bool   // certificates are not verified
	User     string // whose mail it is
	Password string
	// AuthUser, if not "", is who logs in, with the right to act for User: an administrator of Cyrus, a master user of Dovecot (RFC 4616).
	AuthUser string
	OAuth    bool // Password is an access token (RFC 7628, or Google's XOAUTH2)

	MaxMessage int64         // bytes of a message that are read
	Retries    int           // connections in a row that fail before it is given up [5]
	Pause      time.Duration // before the first retry; it doubles up to a minute [1 s]
}

// maxPause bounds the pause between two attempts.
const maxPause = time.Minute

// dialTimeout bounds how long a connection takes until the server's greeting.
const dialTimeout = 30 * time.Second

// session is one connection, logged in.
type session struct {
	client   *imapclient.Client
	stop     func() bool
	selected string // raw name
}

func (s *session) close() {
	s.stop()
	_ = s.client.Close() // it was for reading
}

// dial connects and logs in.
func (o *IMAPOptions) dial(ctx context.Context) (*session, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, stop(fmt.Errorf("%w: address %q: %w", ErrSource, o.Address, err))
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	// A server that says nothing would be waited for without end.
	watch := context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		watch()
		return nil, errors.Join(err, conn.Close())
	}
	client, err := o.wrap(ctx, conn, &tls.Config{ServerName: host, InsecureSkipVerify: o.Insecure})
	if err != nil {
		watch()
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	s := &session{client: client, stop: watch}
	if err := o.login(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// wrap protects a connection and waits for the greeting.
func (o *IMAPOptions) wrap(ctx context.Context, conn net.Conn, cfg *tls.Config) (*imapclient.Client, error) {
	opts := &imapclient.Options{TLSConfig: cfg}
	switch o.TLS {
	case StartTLS:
		return imapclient.NewStartTLS(conn, opts)
	case Plaintext:
	default:
		secure := tls.Client(conn, cfg)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		conn = secure
	}
	client := imapclient.New(conn, opts)
	if err := client.WaitGreeting(); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// login logs in, and has names in UTF-8 where the server can.
func (o *IMAPOptions) login(s *session) error {
	caps := s.client.Caps()
	var err error
	switch {
	case s.client.State() == imap.ConnStateAuthenticated: // PREAUTH
	case o.OAuth && caps.Has(imap.AuthCap("OAUTHBEARER")):
		host, _, _ := net.SplitHostPort(o.Address)
		err = s.client.Authenticate(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: o.User, Token: o.Password, Host: host}))
	case o.OAuth:
		err = s.client.Authenticate(xoauth2{o.User, o.Password})
	case o.AuthUser != "":
		err = s.client.Authenticate(sasl.NewPlainClient(o.User, o.AuthUser, o.Password))
	case caps.Has(imap.AuthCap("PLAIN")):
		err = s.client.Authenticate(sasl.NewPlainClient("", o.User, o.Password))
	default:
		err = s.client.Login(o.User, o.Password).Wait()
	}
	if err != nil {
		if refused, ok := errors.AsType[*imap.Error](err); ok && refused.Code != imap.ResponseCodeUnavailable {
			return stop(fmt.Errorf("%w: %s: %w", ErrLogin, o.User, err))
		}
		return err
	}
	if caps = s.client.Caps(); caps.Has(imap.CapIMAP4rev2) {
		if _, err := s.client.Enable(imap.CapIMAP4rev2).Wait(); err != nil {
			return err
		}
	}
	return nil
}

// xoauth2 is Google's mechanism from before RFC 7628.
type xoauth2 struct{ user, token string }

// Start implements sasl.Client.
func (x xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.user + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements sasl.Client: a challenge is an error in JSON, after which the server fails the command.
func (x xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }

// stopError is an error that no new connection mends.
type stopError struct{ error }

// Unwrap is for errors.Is.
func (e stopError) Unwrap() error { return e.error }

func stop(err error) error { return stopError{err} }

// lasting says whether an error would come again on another connection.
func lasting(err error) bool {
	if _, ok := errors.AsType[stopError](err); ok {
		return true
	}
	refused, ok := errors.AsType[*imap.Error](err)
	return ok && refused.Type != imap.StatusResponseTypeBye && refused.Code != imap.ResponseCodeUnavailable && refused.Code != imap.ResponseCodeInUse
}

// hostOf is the host of an address in lower case, with the port.
func hostOf(address string) string { return strings.ToLower(address) }
