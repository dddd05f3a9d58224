package lmtpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"angarium/internal/auth"
	"angarium/lmtpd/address"
	"angarium/mailstore"
)

// Store is what the server needs of a mail store; *mailstore.Store is one.
type Store interface {
	// Recipient checks that an account can get mail: mailstore.ErrNoAccount when there is none, another error when it can't tell.
	Recipient(ctx context.Context, account string) error
	// Prepare makes a body of a message. raw does not change afterwards.
	Prepare(raw []byte) (*mailstore.Body, error)
	// Deliver puts a message into a mailbox of each recipient, and says what became of each, in their order.
	Deliver(ctx context.Context, id mailstore.Identity, b *mailstore.Body, to []mailstore.Recipient) []mailstore.Delivered
}

// Policy says what is done with messages that have octets that do not belong into mail.
type Policy int

const (
	// Default is Normalize for newlines and Reject for NUL.
	Default Policy = iota
	// Normalize makes a lone LF a CRLF and removes a lone CR. For newlines only.
	Normalize
	// Strip removes the octets. For NUL only.
	Strip
	// Reject refuses the message with 554 5.6.0.
	Reject
	// Accept takes the message as it is.
	Accept
)

// Options configure a Server. Zero values mean the defaults named here.
type Options struct {
	Store    Store  // required
	Hostname string // required; name of this server in its greeting and in Received

	DefaultDomain      string // of recipients without a domain
	RecipientDelimiter string // between user and detail; empty: no details [angarium serve sets "+"]
	Postmaster         string // account that gets the mail for postmaster; empty: the account postmaster

	MaxMessage     int64 // octets of a message, without the fields added here (see TraceBytes) [50 MiB]
	MaxRecipients  int   // of one transaction [1000]
	MaxConnections int   // at once [1000]
	MaxBuffered    int64 // octets of the messages being received or delivered, in sum; at least MaxMessage [1 GiB]

	// Peers are the networks that may connect over TCP [loopback]. Unix sockets are guarded by their permissions.
	Peers []netip.Prefix
	// TLS switches on STARTTLS. A listener made by tls.NewListener serves TLS from the start, with or without it.
	TLS *tls.Config
	// Auth switches on AUTH (RFC 4954). Mechanisms that show the password are offered only over TLS, loopback and unix sockets.
	Auth *auth.Authenticator
	// AuthRequired refuses MAIL before AUTH.
	AuthRequired bool

	Timeout        time.Duration // silence after which a client is disconnected [5 min]
	WriteTimeout   time.Duration // that a client may take to read an answer [1 min]
	DeliverTimeout time.Duration // of the store for one transaction; of RCPT too [1 min]

	BareNewline Policy // Normalize [default], Reject or Accept
	NUL         Policy // Reject [default], Strip or Accept

	Logger *slog.Logger // [slog.Default()]
	Hooks  Hooks
	Now    func() time.Time // the clock of Received [time.Now]
}

// Hooks tell metrics what happens. Each may be nil, is called from several goroutines, and should return at once.
type Hooks struct {
	// Connected is told of every connection, Disconnected of the end of those that were not refused.
	Connected    func(refused Refusal)
	Disconnected func()
	// Recipient is told the code of every answer to RCPT.
	Recipient func(code int)
	// Delivered is told of every message that was received as a whole.
	Delivered func(Delivery)
}

// Refusal is why a connection was refused.
type Refusal string

// The reasons to refuse a connection.
const (
	NotRefused         Refusal = ""
	RefusedPeer        Refusal = "peer"  // not in Options.Peers
	RefusedConnections Refusal = "limit" // Options.MaxConnections
)

// Delivery is what became of a message.
type Delivery struct {
	Octets  int           // of the message as it was received, less what was over a limit
	Codes   []int         // code of the answer for each recipient
	Receive time.Duration // from DATA, or the first BDAT, to the last octet
	Store   time.Duration // in the store, with hashing and parsing
}

const (
	maxLine   = 12288 // octets of a command line with its end: what AUTH may need (RFC 4954, section 4)
	maxErrors = 20    // commands with errors after which a connection is closed
	maxLogins = 3     // failed logins after which a connection is closed
)

// TraceBytes bounds the fields that are put on top of a message. The size limit of the store should be larger than
// Options.MaxMessage by that much.
const TraceBytes = 4096

// withDefaults checks the options and fills in the defaults.
func (o Options) withDefaults() (Options, error) {
	if o.Store == nil || o.Hostname == "" {
		return o, errors.New("lmtpd: Store and Hostname are required")
	}
	if o.AuthRequired && o.Auth == nil {
		return o, errors.New("lmtpd: AuthRequired without Auth")
	}
	setDefault(&o.MaxMessage, 50<<20)
	setDefault(&o.MaxRecipients, 1000)
	setDefault(&o.MaxConnections, 1000)
	setDefault(&o.MaxBuffered, max(1<<30, o.MaxMessage))
	setDefault(&o.Timeout, 5*time.Minute)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.DeliverTimeout, time.Minute)
	setDefault(&o.BareNewline, Normalize)
	setDefault(&o.NUL, Reject)
	setDefault(&o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Peers == nil {
		o.Peers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	switch {
	case o.BareNewline == Strip || o.NUL == Normalize:
		return o, errors.New("lmtpd: Strip is for NUL, Normalize for newlines")
	case o.MaxMessage < 0 || o.MaxRecipients < 0 || o.MaxConnections < 0 || o.Timeout < 0 || o.WriteTimeout < 0 || o.DeliverTimeout < 0:
		return o, errors.New("lmtpd: a limit is negative")
	case o.MaxBuffered < o.MaxMessage:
		return o, fmt.Errorf("lmtpd: MaxBuffered is %d, less than a message of %d", o.MaxBuffered, o.MaxMessage)
	}
	return o, nil
}

func setDefault[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

func (o *Options) resolver() address.Resolver {
	return address.Resolver{DefaultDomain: o.DefaultDomain, Delimiter: o.RecipientDelimiter, Postmaster: o.Postmaster}
}

// binary reports whether messages are stored whatever octets they have.
func (o *Options) binary() bool { return o.BareNewline == Accept && o.NUL == Accept }
