package config

// Config is the whole configuration, one field a section of the file. The tags of each field are its key and its
// documentation, which is the comment that WriteTOML prints.
type Config struct {
	Server    Server    `toml:"server" doc:"The node and the site."`
	Log       Log       `toml:"log" doc:"The event log: the truth of which every mailbox is a replay."`
	Replica   Replica   `toml:"replica" doc:"The store of this node, built from the log."`
	IMAP      IMAP      `toml:"imap" doc:"The IMAP server."`
	LMTP      LMTP      `toml:"lmtp" doc:"Delivery from the mail transfer agent. Use a unix socket or a private address: LMTP has no login here unless auth_required is set."`
	Socketmap Socketmap `toml:"socketmap" doc:"Recipient lookups for Postfix (socketmap_table(5))."`
	HTTP      HTTP      `toml:"http" doc:"Health, readiness and metrics. Not for the public."`
	Channel   Channel   `toml:"channel" doc:"Links to the other nodes of the site: replication."`
	Cluster   Cluster   `toml:"cluster" doc:"Several nodes with one log: embedded NATS servers that replicate it among them."`
	Scrub     Scrub     `toml:"scrub" doc:"Reading all that is stored again and again, in the background, to find damage before it is needed."`
	Notify    Notify    `toml:"notify" doc:"Events for other programs (docs/events.md)."`
	Archive   Archive   `toml:"archive" doc:"Backup: a copy of the log, apart from the store, from which any point in time can be restored (docs/backup.md)."`
	Expire    Expire    `toml:"expire" doc:"How long what was expunged or deleted stays restorable, and how policies expunge."`
	Policies  []Policy  `toml:"policy" doc:"A policy for the mailboxes that it matches: one section [[policy]] for each. They are asked in order, and each setting of a mailbox is that of the first one that matches and has it. In patterns * is any text and ? any character; single quotes keep a backslash as it is."`
	TLS       TLS       `toml:"tls" doc:"The certificate of IMAP and LMTP."`
	Auth      Auth      `toml:"auth" doc:"Passwords and the throttling of guesses."`
	Logging   Logging   `toml:"logging" doc:"What the server says about itself, on standard error."`
}

// Server is the section [server].
type Server struct {
	Node          string `toml:"node" doc:"Name of this node, unique among the nodes of the site. Empty: the host name."`
	DataDir       string `toml:"data_dir" doc:"Directory of everything that this node stores."`
	DefaultDomain string `toml:"default_domain" doc:"Domain of account names and recipients that have none. Empty: names without a domain stay so. Changing it renames no account."`
	Postmaster    string `toml:"postmaster" doc:"Account that gets the mail for postmaster. Empty: the account postmaster, if there is one."`
	Shards        int    `toml:"shards" doc:"Number of logs that the accounts are spread over. Used at the first start only."`
}

// Log is the section [log].
type Log struct {
	URL         string   `toml:"url" doc:"NATS server or servers (separated by commas) that hold the log. Empty: the server embedded in this process."`
	Credentials string   `toml:"credentials" doc:"NATS credentials file (JWT and seed)."`
	NKey        string   `toml:"nkey" doc:"NATS nkey seed file; instead of credentials."`
	TLSCA       string   `toml:"tls_ca" doc:"File of the authorities that sign the NATS servers' certificates. Empty: those of the system."`
	TLSCert     string   `toml:"tls_cert" doc:"Client certificate file shown to the NATS servers."`
	TLSKey      string   `toml:"tls_key" doc:"Key file of tls_cert."`
	Domain      string   `toml:"domain" doc:"JetStream domain of the log."`
	SyncAlways  bool     `toml:"sync_always" doc:"You state that every server of an external log runs with sync_interval \"always\", which cannot be learned through an ordinary account. The embedded server always does."`
	UnsafeSync  bool     `toml:"unsafe_sync" doc:"Accept an external log that does not fsync before it acknowledges. A power failure then loses mail that was acknowledged."`
	MaxStore    Size     `toml:"max_store" doc:"Disk limit of JetStream in the embedded server. 0: no limit."`
	MinFree     Size     `toml:"min_free" doc:"Disk space that the embedded server keeps free: writes are refused when there is less."`
	Timeout     Duration `toml:"timeout" doc:"How long an append may take before its outcome counts as unknown."`
	Retain      Duration `toml:"retain" doc:"How long the log keeps what the archive and all replicas have: what is older is purged, and history from before it is in the archive alone. 0: for good."`
	// RetainWithoutArchive allows purging although the archive has nothing of it.
	RetainWithoutArchive bool `toml:"retain_without_archive" doc:"Purge although there is no archive: what is purged is lost as history, and nothing can be restored any more."`
}

// Replica is the section [replica].
type Replica struct {
	BodyEncoding string   `toml:"body_encoding" doc:"How message bodies are stored: \"zstd\", \"s2\", \"none\", or \"auto\": s2 where that saves more than a third, as with text, and attachments as they are; \"zstd\" takes less disk and more of the processor. For new bodies only."`
	MemtableSize Size     `toml:"memtable_size" doc:"Index changes gathered in memory before they are written out. More is faster to write and slower to restart."`
	CacheSize    Size     `toml:"cache_size" doc:"Memory for blocks of the index."`
	KeepBodies   Duration `toml:"keep_bodies" doc:"How long the body of a message stays in the store after the last message that has it was expunged; then it is dropped and its disk space is given back. At least log.retain. 0: for good."`
	CompactRate  Size     `toml:"compact_rate" doc:"Bytes of bodies that are written anew in a second, on average, while disk space is given back. 0: no limit."`
}

// IMAP is the section [imap].
type IMAP struct {
	Listen                   []string `toml:"listen" doc:"Addresses for IMAP with STARTTLS: \"host:port\", \":port\", \"[v6]:port\" or \"unix:PATH\"."`
	ListenTLS                []string `toml:"listen_tls" doc:"Addresses for IMAP over TLS (IMAPS)."`
	SocketMode               string   `toml:"socket_mode" doc:"Permissions of unix sockets, in octal."`
	PlaintextLogin           string   `toml:"plaintext_login" doc:"Where passwords are taken without TLS: \"loopback\" (also unix sockets), \"always\" or \"never\"."`
	IdleTimeout              Duration `toml:"idle_timeout" doc:"Silence after which a client that has logged in is disconnected; at least 30m (RFC 9051, 5.4)."`
	LoginTimeout             Duration `toml:"login_timeout" doc:"Time to log in."`
	WriteTimeout             Duration `toml:"write_timeout" doc:"Time that a client may take to accept a piece of a response."`
	MaxAppendSize            Size     `toml:"max_append_size" doc:"Largest message that APPEND takes (APPENDLIMIT, RFC 7889)."`
	MaxConnections           int      `toml:"max_connections" doc:"Connections at once. 0: no limit."`
	MaxConnectionsPerIP      int      `toml:"max_connections_per_ip" doc:"Connections at once from one address (IPv6: one /64), except loopback. 0: no limit."`
	MaxConnectionsPerAccount int      `toml:"max_connections_per_account" doc:"Connections at once that are logged in to one account. 0: no limit."`
}

// LMTP is the section [lmtp].
type LMTP struct {
	Listen             []string `toml:"listen" doc:"Addresses for LMTP: \"host:port\" or \"unix:PATH\"."`
	SocketMode         string   `toml:"socket_mode" doc:"Permissions of unix sockets, in octal. The mail transfer agent must be able to write to them."`
	Peers              []string `toml:"peers" doc:"Networks (CIDR) or addresses that may connect over TCP. Unix sockets are guarded by their permissions."`
	AuthRequired       bool     `toml:"auth_required" doc:"Take mail only from a client that has logged in (AUTH)."`
	MaxMessageSize     Size     `toml:"max_message_size" doc:"Largest message (SIZE, RFC 1870)."`
	MaxRecipients      int      `toml:"max_recipients" doc:"Recipients of one message."`
	MaxConnections     int      `toml:"max_connections" doc:"Connections at once. 0: no limit."`
	Timeout            Duration `toml:"timeout" doc:"Silence after which a client is disconnected."`
	BareNewline        string   `toml:"bare_newline" doc:"Lines that end with a lone CR or LF: \"normalize\" (LF becomes CRLF, CR is removed), \"reject\" the message, or \"accept\" as it is."`
	NUL                string   `toml:"nul" doc:"Messages with NUL bytes: \"reject\" them, \"strip\" the bytes, or \"accept\" as they are."`
	RecipientDelimiter string   `toml:"recipient_delimiter" doc:"Character between user and detail (user+detail@domain). Empty: no detail."`
}

// Socketmap is the section [socketmap].
type Socketmap struct {
	Listen     []string `toml:"listen" doc:"Addresses for socketmap lookups: \"host:port\" or \"unix:PATH\"."`
	SocketMode string   `toml:"socket_mode" doc:"Permissions of unix sockets, in octal. Postfix must be able to write to them."`
}

// HTTP is the section [http].
type HTTP struct {
	Listen []string `toml:"listen" doc:"Addresses for /livez, /readyz and /metrics: \"host:port\" or \"unix:PATH\"."`
}

// Channel is the section [channel].
type Channel struct {
	Listen     []string `toml:"listen" doc:"Addresses at which other nodes join this one: \"host:port\". They are let in by the token of syncctl channel add. Empty: none."`
	Advertise  string   `toml:"advertise" doc:"Address under which other nodes reach this one, for join tokens. Empty: the first address of listen."`
	JoinFile   string   `toml:"join_file" doc:"File with the join token that syncctl channel add printed on another node: this node becomes a replica of that one. Of a cluster: the tokens of all its nodes, one a line. The data directory must be empty at the first start."`
	Boot       string   `toml:"boot" doc:"When a primary whose log other nodes follow takes writes after a start: \"cautious\" once it has met one of them and none has taken its place, \"bold\" at once."`
	Writes     string   `toml:"writes" doc:"What a replica does with writes: \"forward\" them to the primary, or \"refuse\"."`
	Replicas   int      `toml:"replicas" doc:"How many replicas must have a write on disk before it is acknowledged, if a channel is set to acknowledge (syncctl channel set NAME --ack replica)."`
	AckTimeout Duration `toml:"ack_timeout" doc:"How long a write waits for that."`
	AckPolicy  string   `toml:"ack_policy" doc:"What happens when they do not answer in time: \"refuse\" the write, which is in the log all the same, or \"degrade\": go on alone until they are back, with an alarm."`
}

// Cluster is the section [cluster].
type Cluster struct {
	Listen     string   `toml:"listen" doc:"Address at which the other nodes' log servers reach this one's: \"host:port\". Empty: no cluster. The site's nodes must be in a cluster from their first start."`
	Routes     []string `toml:"routes" doc:"The other nodes' addresses of that kind."`
	Replicas   int      `toml:"replicas" doc:"Copies of the log: 3 or 5. A write is acknowledged when most of them have it on disk."`
	Name       string   `toml:"name" doc:"Name of the cluster, the same on all nodes."`
	SecretFile string   `toml:"secret_file" doc:"File with a secret that the nodes show each other, the same on all. It may be left out only while listen is a loopback address."`
}

// Scrub is the section [scrub].
type Scrub struct {
	Rate  Size     `toml:"rate" doc:"Bytes read in a second, on average. 0: nothing is read in the background; syncctl scrub still does."`
	Every Duration `toml:"every" doc:"How long after the end of a pass the next one begins."`
}

// Notify is the section [notify].
type Notify struct {
	Listen            []string `toml:"listen" doc:"Address at which NATS clients read the stream MAIL_NOTIFY: \"host:port\", one at most. They show credentials of syncctl consumer add. Empty: no stream."`
	TLS               bool     `toml:"tls" doc:"Demand TLS there, with the certificate of [tls]."`
	Groups            []string `toml:"groups" doc:"Groups of events in the stream: message, flags, mailbox, subscription, access. Empty: all."`
	ExcludeFlags      []string `toml:"exclude_flags" doc:"Flags that the stream does not speak of."`
	ExcludeSpecialUse []string `toml:"exclude_special_use" doc:"Special uses (RFC 6154) whose mailboxes the stream does not speak of; \"ALL\": no mailbox but INBOX."`
	Content           string   `toml:"content" doc:"What the stream has of a new message: \"none\", \"header\", \"body\", \"headerbody\" or \"message\"."`
	ContentSize       Size     `toml:"content_size" doc:"At most so much of it."`
	MaxAge            Duration `toml:"max_age" doc:"How long an event stays in the stream."`
	MaxSize           Size     `toml:"max_size" doc:"How much disk the stream may take; the oldest events go first."`
	SinksFile         string   `toml:"sinks_file" doc:"File of further receivers: webhooks, programs, files. Empty: none."`
}

// Archive is the section [archive].
type Archive struct {
	URL           string   `toml:"url" doc:"Where the log is copied to as it grows: \"file:///DIR\" or \"s3://BUCKET/PREFIX?endpoint=HOST:PORT\" (docs/backup.md). Empty: no archive."`
	KeyFile       string   `toml:"key_file" doc:"Key file that the archive is encrypted with before it leaves this machine. Keep a copy elsewhere: without it the archive is lost. Empty: not encrypted."`
	SealAge       Duration `toml:"seal_age" doc:"Age at which a segment of the archive is sealed. What is newer is in the archive too, in small pieces."`
	SealSize      Size     `toml:"seal_size" doc:"Size at which a segment is sealed, at most 128MiB."`
	Throttle      Size     `toml:"throttle" doc:"Bytes uploaded in a second, on average. 0: no limit."`
	SnapshotEvery Duration `toml:"snapshot_every" doc:"How often a snapshot is taken: a point from which restores begin, and to which history can be pruned. 0: never."`
	SelfTestEvery Duration `toml:"self_test_every" doc:"How often the whole archive is read, restored into a scratch directory and compared with the store. 0: never."`
	KeepLast      int      `toml:"keep_last" doc:"Snapshots to keep when the archive is pruned, after each snapshot: the newest so many. While all keep settings are 0, nothing is pruned."`
	KeepHourly    int      `toml:"keep_hourly" doc:"The newest snapshot of each of the last so many hours that have one."`
	KeepDaily     int      `toml:"keep_daily" doc:"The same, of days in UTC."`
	KeepWeekly    int      `toml:"keep_weekly" doc:"The same, of weeks."`
	KeepMonthly   int      `toml:"keep_monthly" doc:"The same, of months."`
	KeepWithin    Duration `toml:"keep_within" doc:"Everything of this time up to now: all snapshots, and every point between them."`
}

// Expire is the section [expire].
type Expire struct {
	KeepExpunged Duration `toml:"keep_expunged" doc:"How long expunged messages can be brought back at least, where no policy says otherwise. 0: for good."`
	KeepDeleted  Duration `toml:"keep_deleted" doc:"How long deleted mailboxes can be brought back at least, where no policy says otherwise. 0: for good."`
	Every        Duration `toml:"every" doc:"How often the primary expunges what is over the limits of policies. 0: only when syncctl expire is run."`
	Batch        int      `toml:"batch" doc:"Messages that one event of a policy expunges at most."`
	Rate         int      `toml:"rate" doc:"Messages that policies expunge in a second at most."`
}

// Policy is a section [[policy]].
type Policy struct {
	Name         string   `toml:"name" doc:"Who expunged, in the history: policy:NAME. Lower-case letters, digits and dashes."`
	Domain       string   `toml:"domain" doc:"Pattern for the domain of the account. Empty: any."`
	Account      string   `toml:"account" doc:"Pattern for the name of the account. Empty: any."`
	Mailbox      string   `toml:"mailbox" doc:"Pattern for the name of the mailbox, as Trash or Lists/*. Empty: any."`
	SpecialUse   string   `toml:"special_use" doc:"Only mailboxes with this special use (RFC 6154), as '\\Trash'. Empty: any."`
	MaxAge       Duration `toml:"max_age" doc:"Messages that have been in the mailbox for longer are expunged. 0: no limit."`
	AgeBy        string   `toml:"age_by" doc:"What the age counts from: \"saved\", when the message came into the mailbox, or \"received\", its internal date. Empty: \"saved\"."`
	MaxMessages  int      `toml:"max_messages" doc:"The oldest messages above this number are expunged. 0: no limit."`
	MaxSize      Size     `toml:"max_size" doc:"The oldest messages are expunged while all together are larger. 0: no limit."`
	KeepExpunged Duration `toml:"keep_expunged" doc:"Instead of the one of [expire], for these mailboxes. 0: not set here."`
	KeepDeleted  Duration `toml:"keep_deleted" doc:"Instead of the one of [expire], for these mailboxes. 0: not set here."`
	Final        bool     `toml:"final" doc:"No later policy is asked for these mailboxes: without a limit of its own, such a policy exempts them."`
}

// TLS is the section [tls]. Load reads the files.
type TLS struct {
	Cert       string `toml:"cert" doc:"Certificate file in PEM, with the chain. Read again on reload."`
	Key        string `toml:"key" doc:"Key file of cert, in PEM."`
	MinVersion string `toml:"min_version" doc:"Oldest version of TLS accepted: \"1.2\" or \"1.3\"."`
}

// Auth is the section [auth].
type Auth struct {
	ScramIterations    int      `toml:"scram_iterations" doc:"PBKDF2 iterations of new passwords, 4096 to 2000000. 15000 cost a login some 3 ms of one core. Old passwords keep theirs."`
	CacheTTL           Duration `toml:"cache_ttl" doc:"How long a password that was right is taken without deriving its key again. 0: never."`
	CacheEntries       int      `toml:"cache_entries" doc:"Passwords remembered so at once."`
	Throttle           bool     `toml:"throttle" doc:"Slow down the guessing of passwords."`
	ThrottlePerAddress int      `toml:"throttle_per_address" doc:"Failed logins from one address (IPv6: one /64) that cost no delay yet."`
	ThrottlePerAccount int      `toml:"throttle_per_account" doc:"Failed logins to one account that cost no delay yet."`
	ThrottleWindow     Duration `toml:"throttle_window" doc:"Time without a failure after which the failures are forgotten."`
	ThrottleMaxDelay   Duration `toml:"throttle_max_delay" doc:"Longest time between two attempts; it starts at 1s and doubles with each failure."`
	ThrottleExempt     []string `toml:"throttle_exempt" doc:"Networks (CIDR) or addresses whose failures count for the account only, such as a webmail's."`
}

// Logging is the section [logging].
type Logging struct {
	Level        string `toml:"level" doc:"Least level written: \"debug\", \"info\", \"warn\" or \"error\"."`
	Format       string `toml:"format" doc:"\"text\" or \"json\"."`
	TraceDir     string `toml:"trace_dir" doc:"Directory for protocol traces: the sessions of an account are recorded while it has a directory of the account's name in it. They show mail. Empty: no traces."`
	TraceMaxSize Size   `toml:"trace_max_size" doc:"Largest trace file; what would come after is left out."`
}
