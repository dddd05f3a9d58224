package config

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"
)

// Problem is a setting that can't work, or one that probably is not meant.
type Problem struct {
	Key     string // "imap.listen"
	Message string
	Hint    string // what to do about it
	Warning bool   // the servers start all the same
}

// Error implements error.
func (p Problem) Error() string {
	s := p.Key + ": " + p.Message
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Check looks for settings that are out of range or contradict each other, in the order of the file. It looks at no files and
// at no network. The servers must not start while it returns a problem that is not a Warning.
func (c Config) Check() []Problem {
	var k checks
	c.checkServer(&k)
	c.checkLog(&k)
	c.checkReplica(&k)
	c.checkRetention(&k)
	c.checkIMAP(&k)
	c.checkLMTP(&k)
	c.checkChannel(&k)
	c.checkCluster(&k)
	c.checkNotify(&k)
	c.checkArchive(&k)
	c.checkExpire(&k)
	c.checkPolicies(&k)
	c.checkScrub(&k)
	c.checkListeners(&k)
	c.checkTLS(&k)
	c.checkAuth(&k)
	c.checkLogging(&k)
	return k.problems
}

// checks gathers problems.
type checks struct{ problems []Problem }

func (k *checks) add(key, hint, format string, args ...any) {
	k.problems = append(k.problems, Problem{Key: key, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (k *checks) warn(key, hint, format string, args ...any) {
	k.add(key, hint, format, args...)
	k.problems[len(k.problems)-1].Warning = true
}

func (k *checks) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		k.add(key, "", "%q: want one of \"%s\"", value, strings.Join(allowed, `", "`))
	}
}

// between checks a range; hint says where a bound comes from.
func between[T cmp.Ordered](k *checks, key, hint string, value, least, most T) {
	if value < least || value > most {
		k.add(key, hint, "%v: want %v to %v", value, least, most)
	}
}

func atLeast[T cmp.Ordered](k *checks, key, hint string, value, least T) {
	if value < least {
		k.add(key, hint, "%v: want at least %v", value, least)
	}
}

func (k *checks) err(key, hint string, err error) {
	if err != nil {
		k.add(key, hint, "%v", err)
	}
}

// both checks two settings that make sense only together.
func (k *checks) both(keyA, a, keyB, b string) {
	if a != "" && b == "" {
		k.add(keyB, "set it, or clear "+keyA, "is empty, but %s is set", keyA)
	}
	if b != "" && a == "" {
		k.add(keyA, "set it, or clear "+keyB, "is empty, but %s is set", keyB)
	}
}

func (c Config) checkServer(k *checks) {
	s := c.Server
	if strings.ContainsFunc(s.Node, func(r rune) bool {
		return r != '-' && r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) || len(s.Node) > maxNameLen {
		k.add("server.node", "it becomes part of NATS names", "%q: want at most %d letters, digits, - and _", s.Node, maxNameLen)
	}
	if s.DataDir == "" {
		k.add("server.data_dir", "", "is empty")
	}
	if strings.ContainsAny(s.DefaultDomain, "@/*% \t\\") || strings.HasPrefix(s.DefaultDomain, ".") || strings.HasSuffix(s.DefaultDomain, ".") {
		k.add("server.default_domain", `write "example.org"`, "%q is not a domain", s.DefaultDomain)
	}
	between(k, "server.shards", "", s.Shards, 1, maxShards)
}

func (c Config) checkLog(k *checks) {
	l := c.Log
	if l.Credentials != "" && l.NKey != "" {
		k.add("log.nkey", "clear one of them", "both log.credentials and log.nkey are set")
	}
	k.both("log.tls_cert", l.TLSCert, "log.tls_key", l.TLSKey)
	if l.URL == "" {
		for _, s := range []struct{ key, value string }{
			{"log.credentials", l.Credentials}, {"log.nkey", l.NKey}, {"log.tls_ca", l.TLSCA}, {"log.tls_cert", l.TLSCert},
		} {
			if s.value != "" {
				k.add(s.key, "set log.url, or clear it", "is set, but the log is embedded")
			}
		}
		if l.UnsafeSync {
			k.warn("log.unsafe_sync", "", "has no effect: the embedded log always fsyncs")
		}
	} else if l.UnsafeSync {
		k.warn("log.unsafe_sync", "set sync_interval: always in the NATS servers", "a power failure can lose mail that was acknowledged")
	} else if !l.SyncAlways {
		k.add("log.sync_always", "set sync_interval: always in the NATS servers, then sync_always = true here", "nothing says that the log fsyncs before it acknowledges")
	}
	atLeast(k, "log.min_free", "", l.MinFree, 0)
	atLeast(k, "log.max_store", "", l.MaxStore, 0)
	between(k, "log.timeout", "", l.Timeout, Duration(1e9), Duration(300e9))
}

func (c Config) checkReplica(k *checks) {
	r := c.Replica
	k.oneOf("replica.body_encoding", r.BodyEncoding, "auto", "zstd", "s2", "none")
	atLeast(k, "replica.memtable_size", "", r.MemtableSize, minMemtableSize)
	atLeast(k, "replica.cache_size", "", r.CacheSize, minCacheSize)
}

func (c Config) checkIMAP(k *checks) {
	m := c.IMAP
	_, err := ParseSocketMode(m.SocketMode)
	k.err("imap.socket_mode", "", err)
	k.oneOf("imap.plaintext_login", m.PlaintextLogin, "loopback", "always", "never")
	atLeast(k, "imap.idle_timeout", "RFC 9051, 5.4", m.IdleTimeout, Duration(minIdleTimeout))
	atLeast(k, "imap.login_timeout", "", m.LoginTimeout, Duration(1e9))
	atLeast(k, "imap.write_timeout", "", m.WriteTimeout, Duration(1e9))
	between(k, "imap.max_append_size", "", m.MaxAppendSize, minMessageSize, maxMessageSize)
	atLeast(k, "imap.max_connections", "", m.MaxConnections, 0)
	atLeast(k, "imap.max_connections_per_ip", "", m.MaxConnectionsPerIP, 0)
	atLeast(k, "imap.max_connections_per_account", "", m.MaxConnectionsPerAccount, 0)
}

func (c Config) checkLMTP(k *checks) {
	l := c.LMTP
	_, err := ParseSocketMode(l.SocketMode)
	k.err("lmtp.socket_mode", "", err)
	_, err = ParseNetworks(l.Peers)
	k.err("lmtp.peers", "", err)
	between(k, "lmtp.max_message_size", "", l.MaxMessageSize, minMessageSize, maxMessageSize)
	if l.MaxMessageSize > c.IMAP.MaxAppendSize {
		k.warn("lmtp.max_message_size", "make imap.max_append_size as large",
			"is larger than imap.max_append_size: clients could not copy such a message to another server and back")
	}
	atLeast(k, "lmtp.max_recipients", "RFC 5321, 4.5.3.1.8", l.MaxRecipients, minMaxRecipients)
	atLeast(k, "lmtp.max_connections", "", l.MaxConnections, 0)
	atLeast(k, "lmtp.timeout", "", l.Timeout, Duration(1e9))
	k.oneOf("lmtp.bare_newline", l.BareNewline, "normalize", "reject", "accept")
	k.oneOf("lmtp.nul", l.NUL, "reject", "strip", "accept")
	if d := l.RecipientDelimiter; len(d) > 1 || strings.ContainsAny(d, "@./*%\\\" ") || strings.ContainsFunc(d, unicode.IsLetter) {
		k.add("lmtp.recipient_delimiter", `as a rule it is "+"`, "%q: want one character that is no letter and none of @ . / * %% \\ \"", d)
	}
}

func (c Config) checkChannel(k *checks) {
	ch := c.Channel
	k.oneOf("channel.boot", ch.Boot, "cautious", "bold")
	k.oneOf("channel.writes", ch.Writes, "forward", "refuse")
	k.oneOf("channel.ack_policy", ch.AckPolicy, "refuse", "degrade")
	atLeast(k, "channel.replicas", "", ch.Replicas, 1)
	atLeast(k, "channel.ack_timeout", "", ch.AckTimeout, Duration(1e8))
}

func (c Config) checkCluster(k *checks) {
	cl := c.Cluster
	if cl.Listen == "" {
		return
	}
	for _, text := range append([]string{cl.Listen}, cl.Routes...) {
		if _, _, err := net.SplitHostPort(text); err != nil {
			k.add("cluster.listen", "host:port", "%q: %v", text, err)
		}
	}
	if cl.Replicas != 1 && cl.Replicas != 3 && cl.Replicas != 5 {
		k.add("cluster.replicas", "", "%d: want 3 or 5", cl.Replicas)
	}
	host, _, _ := net.SplitHostPort(cl.Listen)
	if ip := net.ParseIP(host); cl.SecretFile == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		k.add("cluster.secret_file", "name a file with the same secret on all nodes", "without it whoever reaches %s can change the log", cl.Listen)
	}
	if c.Log.URL != "" {
		k.add("cluster.listen", "leave one of them out", "log.url names an external log")
	}
	if c.Channel.JoinFile != "" {
		k.add("channel.join_file", "let the other node join this one", "a node of a cluster joins no other node")
	}
}

func (c Config) checkNotify(k *checks) {
	n := c.Notify
	k.oneOf("notify.content", n.Content, "none", "header", "body", "headerbody", "message")
	if len(n.Listen) > 1 {
		k.add("notify.listen", "name one", "%d addresses", len(n.Listen))
	}
	if n.TLS && c.TLS.Cert == "" {
		k.add("notify.tls", "set tls.cert and tls.key", "there is no certificate")
	}
}

// listener is an address of the file with its key.
type listener struct {
	key, text string
	address   Address
}

func (c Config) checkListeners(k *checks) {
	var all []listener
	for _, s := range []struct {
		key  string
		list []string
	}{
		{"imap.listen", c.IMAP.Listen}, {"imap.listen_tls", c.IMAP.ListenTLS}, {"lmtp.listen", c.LMTP.Listen},
		{"socketmap.listen", c.Socketmap.Listen}, {"http.listen", c.HTTP.Listen}, {"channel.listen", c.Channel.Listen}, {"notify.listen", c.Notify.Listen},
	} {
		for _, text := range s.list {
			address, err := ParseAddress(text)
			k.err(s.key, "", err)
			if err == nil {
				all = append(all, listener{s.key, text, address})
			}
		}
	}
	_, err := ParseSocketMode(c.Socketmap.SocketMode)
	k.err("socketmap.socket_mode", "", err)
	seen := map[Address]string{}
	for _, l := range all {
		if other, ok := seen[l.address]; ok && !strings.HasSuffix(l.text, ":0") {
			k.add(l.key, "give each its own", "%q is used by %s too", l.text, other)
		}
		seen[l.address] = l.key
		c.checkExposure(k, l)
	}
}

// checkExposure looks at listeners that other machines can reach.
func (c Config) checkExposure(k *checks, l listener) {
	hasTLS := c.TLS.Cert != ""
	local := l.address.IsLocal()
	switch {
	case l.key == "imap.listen_tls" && !hasTLS:
		k.add(l.key, "set tls.cert and tls.key", "%q needs a certificate", l.text)
	case l.key == "imap.listen" && c.IMAP.PlaintextLogin == "always" && !local:
		k.warn("imap.plaintext_login", `use "loopback"`, "passwords to %q can be read on the network", l.text)
	case l.key == "imap.listen" && !hasTLS && (c.IMAP.PlaintextLogin == "never" || !local):
		k.warn(l.key, "set tls.cert and tls.key", "without TLS, clients of %q can log in with SCRAM-SHA-256 only", l.text)
	case l.key == "lmtp.listen" && l.address.Network == "tcp" && len(c.LMTP.Peers) == 0:
		k.add("lmtp.peers", `such as ["127.0.0.0/8", "::1"]`, "is empty, so that nobody may connect to %q", l.text)
	case l.key == "socketmap.listen" && !local:
		k.warn(l.key, "use a loopback address or a unix socket", "anybody who reaches %q can ask which accounts exist", l.text)
	}
}

func (c Config) checkTLS(k *checks) {
	k.both("tls.cert", c.TLS.Cert, "tls.key", c.TLS.Key)
	_, err := parseTLSVersion(c.TLS.MinVersion)
	k.err("tls.min_version", "", err)
}

func (c Config) checkAuth(k *checks) {
	a := c.Auth
	between(k, "auth.scram_iterations", "RFC 7677, 4", a.ScramIterations, minScram, maxScram)
	atLeast(k, "auth.cache_entries", "to switch the cache off, set auth.cache_ttl to 0s", a.CacheEntries, 1)
	atLeast(k, "auth.throttle_per_address", "", a.ThrottlePerAddress, 1)
	atLeast(k, "auth.throttle_per_account", "", a.ThrottlePerAccount, 1)
	atLeast(k, "auth.throttle_window", "", a.ThrottleWindow, Duration(1e9))
	atLeast(k, "auth.throttle_max_delay", "", a.ThrottleMaxDelay, Duration(1e9))
	if a.ThrottleWindow < a.ThrottleMaxDelay {
		k.add("auth.throttle_window", "", "%v is shorter than auth.throttle_max_delay, so that the longest delays end early", a.ThrottleWindow)
	}
	_, err := ParseNetworks(a.ThrottleExempt)
	k.err("auth.throttle_exempt", "", err)
	if !a.Throttle {
		k.warn("auth.throttle", "", "is off: passwords can be guessed as fast as the machine checks them")
	}
}

func (c Config) checkLogging(k *checks) {
	l := c.Logging
	k.oneOf("logging.level", l.Level, "debug", "info", "warn", "error")
	k.oneOf("logging.format", l.Format, "text", "json")
	atLeast(k, "logging.trace_max_size", "", l.TraceMaxSize, 8<<10)
}
