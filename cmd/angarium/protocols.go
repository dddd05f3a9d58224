package main

import (
	"crypto/tls"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"angarium/imapd"
	"angarium/internal/buildinfo"
	"angarium/internal/config"
	"angarium/internal/obs"
	"angarium/lmtpd"
	"angarium/notify"
)

func (s *server) imapOptions(tlsConfig *tls.Config) imapd.Options {
	c := s.cfg.IMAP
	policies := map[string]imapd.PlaintextPolicy{
		"loopback": imapd.PlaintextLoopback, "never": imapd.PlaintextNever, "always": imapd.PlaintextAlways,
	}
	opts := imapd.Options{
		Store: s.node.Store(), Auth: s.auth, TLS: tlsConfig, Plaintext: policies[c.PlaintextLogin],
		Logger: s.log.With("part", "imap"), Hooks: s.imapHooks(), Version: buildinfo.Version(),
		Limits: imapd.Limits{
			Connections: orUnlimited(c.MaxConnections), ConnectionsPerAddress: orUnlimited(c.MaxConnectionsPerIP),
			SessionsPerAccount: orUnlimited(c.MaxConnectionsPerAccount),
			MessageBytes:       int64(c.MaxAppendSize),
			Login:              c.LoginTimeout.Std(), Autologout: c.IdleTimeout.Std(), Write: c.WriteTimeout.Std(),
		},
	}
	if s.cfg.Logging.TraceDir != "" {
		opts.Trace = s.trace
	}
	return opts
}

// imapHooks count what happens and tell of logins.
func (s *server) imapHooks() imapd.Hooks {
	h := s.metrics.imapHooks()
	info := func(i imapd.SessionInfo) notify.SessionInfo {
		return notify.SessionInfo{
			Account: i.Account, Service: "imap", Session: i.Session, Client: i.Client.String(), Server: i.Server.String(), Time: time.Now(),
		}
	}
	h.LoggedIn = func(i imapd.SessionInfo) { s.node.Login(info(i)) }
	h.LoggedOut = func(i imapd.SessionInfo) { s.node.Logout(info(i)) }
	return h
}

// trace records a session if the trace directory has a directory of its account's name.
func (s *server) trace(account, session string) imapd.Recorder {
	dir := filepath.Join(s.cfg.Logging.TraceDir, account)
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	t, err := obs.OpenTrace(dir, session, int64(s.cfg.Logging.TraceMaxSize))
	if err != nil {
		s.log.Warn("no protocol trace", "session", session, "error", err)
		return nil
	}
	return t
}

// orUnlimited turns the configuration's 0 into a limit that is none.
func orUnlimited(n int) int {
	if n == 0 {
		return math.MaxInt
	}
	return n
}

func (s *server) lmtpOptions(tlsConfig *tls.Config) (lmtpd.Options, error) {
	c := s.cfg.LMTP
	peers, err := config.ParseNetworks(c.Peers)
	if err != nil {
		return lmtpd.Options{}, usageError{err}
	}
	host, err := os.Hostname()
	if err != nil {
		return lmtpd.Options{}, err
	}
	policies := map[string]lmtpd.Policy{"normalize": lmtpd.Normalize, "strip": lmtpd.Strip, "reject": lmtpd.Reject, "accept": lmtpd.Accept}
	return lmtpd.Options{
		Store: s.node.Store(), Hostname: host, DefaultDomain: s.cfg.Server.DefaultDomain, Postmaster: s.cfg.Server.Postmaster,
		RecipientDelimiter: c.RecipientDelimiter, MaxMessage: int64(c.MaxMessageSize), MaxRecipients: c.MaxRecipients,
		MaxConnections: orUnlimited(c.MaxConnections), Peers: peers, TLS: tlsConfig, Auth: s.auth, AuthRequired: c.AuthRequired,
		Timeout: c.Timeout.Std(), BareNewline: policies[c.BareNewline], NUL: policies[c.NUL], Logger: s.log.With("part", "lmtp"),
		Hooks: lmtpd.Hooks{Delivered: s.delivered},
	}, nil
}

// delivered counts one message and its recipients.
func (s *server) delivered(d lmtpd.Delivery) {
	s.metrics.lmtpBytes.Add(float64(d.Octets))
	s.metrics.lmtpSeconds.Observe(d.Store.Seconds())
	for _, code := range d.Codes {
		s.metrics.lmtpDeliveries.WithLabelValues(strconv.Itoa(code)).Inc()
	}
}

// sessions counts connections by service, for status.
func (s *server) sessions() map[string]int {
	return map[string]int{"imap": int(s.metrics.open.Load())}
}
