package imapd

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"angarium/internal/auth"
	"angarium/mailstore"
)

// PlaintextPolicy says where a password may cross a connection that TLS does not protect.
type PlaintextPolicy int

// The policies. Mechanisms that do not show the password (SCRAM) are always offered.
const (
	PlaintextLoopback PlaintextPolicy = iota // from the same machine: a loopback address or a unix socket
	PlaintextNever
	PlaintextAlways
)

// Options configures a Server. Zero values mean the defaults named here.
type Options struct {
	Store *mailstore.Store    // required
	Auth  *auth.Authenticator // required
	// TLS serves implicit TLS and STARTTLS. Nil: neither is there.
	TLS       *tls.Config
	Plaintext PlaintextPolicy
	Limits    Limits
	Logger    *slog.Logger // [slog.Default()]
	Hooks     Hooks
	// Trace, if not nil, is asked after each login whether the session is to be recorded: what goes over the connection from
	// then on is told to the recorder it returns, which is closed at the end. Nil: this session is not recorded.
	Trace func(account, session string) Recorder
	// Name and Version are what ID (RFC 2971) and the greeting tell.
	Name, Version string // ["Angarium", ""]
	Now           func() time.Time
}

// Recorder records a session; *obs.Trace is one.
type Recorder interface {
	Client(p []byte) // bytes that came from the client
	Server(p []byte) // bytes that were sent to it
	Close() error
}

// Limits bounds what clients may use. A zero field means the default named here.
type Limits struct {
	Connections           int // in all [10,000]
	ConnectionsPerAddress int // of one client address, loopback excepted [1,000]
	SessionsPerAccount    int // logged in at a time [100]

	Login       time.Duration // from the connection to the login [2 min]
	Autologout  time.Duration // without a command, or in IDLE, after login [30 min] (RFC 9051, section 5.4: at least that)
	CommandRead time.Duration // for each line and each buffered literal of a command [1 min]
	Write       time.Duration // for each write to the client [1 min]

	LoginFailures  int   // failed logins of a connection [5]
	BadCommands    int   // broken commands in succession, [10] before login, five times that after it
	MessagesAppend int   // messages of one APPEND [1,000]
	MessageBytes   int64 // of one message in APPEND, the APPENDLIMIT (RFC 7889) [that of the Store]
	AppendBytes    int64 // bytes of messages being uploaded on all connections together [512 MiB]
	ListPatterns   int   // patterns of one LIST [100]
	// NotifyMailboxes bounds the mailboxes and subscriptions of which a session has not been told yet what it asked for with NOTIFY [1,000].
	NotifyMailboxes int
}

// SessionInfo says whose session it is.
type SessionInfo struct {
	Account        string
	Session        string   // id
	Client, Server net.Addr // the ends of the connection
}

// Hooks tell of what happens, for metrics. Nil ones are not called. They are called from the sessions' goroutines and must not block.
type Hooks struct {
	// Opened and Closed frame each connection that is served.
	Opened func()
	Closed func()
	// Refused: a connection was not served; the reason is "connections", "address" or "tls".
	Refused func(reason string)
	// Login tells the mechanism ("LOGIN" for the command, else that of SASL) and the result: "ok", "credentials", "disabled", "throttled",
	// "unavailable", "denied", "malformed" or "limit".
	Login func(mechanism, result string)
	// LoggedIn and LoggedOut frame what a session does after its login. They must be quick.
	LoggedIn, LoggedOut func(SessionInfo)
	// Command tells the name of a command ("UNKNOWN" for what is none), its result ("OK", "NO", "BAD", or "closed" when the
	// connection broke) and how long it took from its first octet to its reply.
	Command func(name, result string, took time.Duration)
	// Read and Written tell the bytes of one read or write, without TLS.
	Read, Written func(bytes int)
}

func (o Options) withDefaults() (Options, error) {
	if o.Store == nil || o.Auth == nil {
		return o, errors.New("imapd: Store and Auth are required")
	}
	setDefault(&o.Logger, slog.Default())
	setDefault(&o.Name, "Angarium")
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &o.Limits
	setDefault(&l.Connections, 10_000)
	setDefault(&l.ConnectionsPerAddress, 1000)
	setDefault(&l.SessionsPerAccount, 100)
	setDefault(&l.Login, 2*time.Minute)
	setDefault(&l.Autologout, 30*time.Minute)
	setDefault(&l.CommandRead, time.Minute)
	setDefault(&l.Write, time.Minute)
	setDefault(&l.LoginFailures, 5)
	setDefault(&l.BadCommands, 10)
	setDefault(&l.MessagesAppend, 1000)
	setDefault(&l.MessageBytes, o.Store.MaxMessage())
	setDefault(&l.AppendBytes, 512<<20)
	setDefault(&l.ListPatterns, 100)
	setDefault(&l.NotifyMailboxes, 1000)
	h := &o.Hooks
	setSession := func(f *func(SessionInfo)) {
		if *f == nil {
			*f = func(SessionInfo) {}
		}
	}
	setSession(&h.LoggedIn)
	setSession(&h.LoggedOut)
	nop := func() {}
	for _, f := range []*func(){&h.Opened, &h.Closed} {
		if *f == nil {
			*f = nop
		}
	}
	if h.Refused == nil {
		h.Refused = func(string) {}
	}
	if h.Login == nil {
		h.Login = func(string, string) {}
	}
	if h.Command == nil {
		h.Command = func(string, string, time.Duration) {}
	}
	for _, f := range []*func(int){&h.Read, &h.Written} {
		if *f == nil {
			*f = func(int) {}
		}
	}
	return o, nil
}

func setDefault[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}
