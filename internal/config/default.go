package config

import "time"

// Limits that a setting can't leave, for Check.
const (
	minIdleTimeout    = 30 * time.Minute // RFC 9051, 5.4
	minScram          = 4096             // RFC 7677, 4
	maxScram          = 2_000_000
	minMaxRecipients  = 100      // RFC 5321, 4.5.3.1.8
	minMessageSize    = 64 << 10 // RFC 5321, 4.5.3.1.7
	maxShards         = 256
	minMemtableSize   = 1 << 20
	minCacheSize      = 1 << 20
	maxMessageSize    = 1 << 30
	maxNameLen        = 64
	defaultMessageMax = 50 << 20
)

// Default is the configuration of an empty file: one node with the embedded log, all servers on loopback.
func Default() Config {
	return Config{
		Server: Server{DataDir: "/var/lib/angarium", Shards: 1},
		Log:    Log{Timeout: Duration(10 * time.Second), MinFree: 256 << 20},
		Replica: Replica{
			BodyEncoding: "auto", MemtableSize: 64 << 20, CacheSize: 256 << 20,
			KeepBodies: Duration(30 * 24 * time.Hour), CompactRate: 16 << 20,
		},
		IMAP: IMAP{
			Listen: []string{"localhost:143"}, ListenTLS: []string{}, SocketMode: "0666", PlaintextLogin: "loopback",
			IdleTimeout: Duration(minIdleTimeout), LoginTimeout: Duration(time.Minute), WriteTimeout: Duration(time.Minute),
			MaxAppendSize:  defaultMessageMax,
			MaxConnections: 20_000, MaxConnectionsPerIP: 200, MaxConnectionsPerAccount: 100,
		},
		LMTP: LMTP{
			Listen: []string{"localhost:24"}, SocketMode: "0660", Peers: []string{"127.0.0.0/8", "::1"},
			MaxMessageSize: defaultMessageMax, MaxRecipients: 1000, MaxConnections: 1000, Timeout: Duration(5 * time.Minute),
			BareNewline: "normalize", NUL: "reject", RecipientDelimiter: "+",
		},
		Socketmap: Socketmap{Listen: []string{}, SocketMode: "0660"},
		HTTP:      HTTP{Listen: []string{"localhost:9143"}},
		Channel: Channel{
			Listen: []string{}, Boot: "cautious", Writes: "forward", Replicas: 1, AckTimeout: Duration(10 * time.Second), AckPolicy: "refuse",
		},
		Cluster: Cluster{Routes: []string{}, Replicas: 3, Name: "angarium"},
		Notify: Notify{
			Listen: []string{}, Groups: []string{}, ExcludeFlags: []string{}, ExcludeSpecialUse: []string{}, Content: "none", ContentSize: 64 << 10,
			MaxAge: Duration(7 * 24 * time.Hour), MaxSize: 1 << 30,
		},
		Scrub: Scrub{Rate: 4 << 20, Every: Duration(7 * 24 * time.Hour)},
		Archive: Archive{
			SealAge: Duration(time.Minute), SealSize: 64 << 20, SnapshotEvery: Duration(24 * time.Hour), SelfTestEvery: Duration(7 * 24 * time.Hour),
		},
		Expire:   Expire{KeepExpunged: Duration(30 * day), KeepDeleted: Duration(30 * day), Every: Duration(time.Hour), Batch: 500, Rate: 1000},
		Policies: []Policy{},
		TLS:      TLS{MinVersion: "1.2"},
		Auth: Auth{
			ScramIterations: 15_000, CacheTTL: Duration(5 * time.Minute), CacheEntries: 10_000, Throttle: true,
			ThrottlePerAddress: 20, ThrottlePerAccount: 5, ThrottleWindow: Duration(15 * time.Minute),
			ThrottleMaxDelay: Duration(time.Minute), ThrottleExempt: []string{},
		},
		Logging: Logging{Level: "info", Format: "text", TraceMaxSize: 16 << 20},
	}
}
