package jslog

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
)

// Why a log is not created or opened, as the Err of an *eventlog.Refusal. Open also refuses with what eventlog.Check finds.
var (
	// ErrExists says that a stream is there already.
	ErrExists = errors.New("the log exists already")
	// ErrMissing says that there is no stream.
	ErrMissing = errors.New("the log does not exist")
	// ErrConfig says that a stream is not configured as a log has to be.
	ErrConfig = errors.New("the stream is not configured as a log")
	// ErrSync says that an acknowledged append might not survive a power cut.
	ErrSync = errors.New("the log server is not known to sync every append")
	// ErrServerLimit says that the server does not take the largest envelopes.
	ErrServerLimit = errors.New("the log server takes too small messages only")
)

// StreamConfig says where a shard's log is kept. The zero value of each field but Shard stands for its default.
type StreamConfig struct {
	Shard    string // letters, digits, "_" and "-"
	Subject  string // prefix of the subject; default "angarium.log"
	Replicas int    // of the stream in a cluster; default 1
	MaxBytes int64  // of the stream; further appends fail with eventlog.ErrNoSpace; default unlimited

	// First is the first position of a new log, whose envelopes continue those of another log; default 1.
	First eventlog.Position
}

const (
	defaultSubject = "angarium.log"
	// dedupeWindow is the shortest that the server allows: de-duplication is not relied on and costs memory.
	dedupeWindow = 100 * time.Millisecond
	// headerRoom is what the headers of an append need beside the payload.
	headerRoom = 4096
)

var shardName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (c StreamConfig) name() string { return "LOG_" + c.Shard }

func (c StreamConfig) subject() string {
	if c.Subject == "" {
		c.Subject = defaultSubject
	}
	return c.Subject + "." + c.Shard
}

func (c StreamConfig) stream() jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:              c.name(),
		Description:       "angarium: log of shard " + c.Shard,
		Subjects:          []string{c.subject()},
		Retention:         jetstream.LimitsPolicy,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        -1,
		Storage:           jetstream.FileStorage,
		Replicas:          max(c.Replicas, 1),
		Duplicates:        dedupeWindow,
		DenyDelete:        true,
		// Direct reads do without JSON. On a replicated stream followers would answer them, who may lag behind.
		AllowDirect: c.Replicas <= 1,
	}
	if c.MaxBytes > 0 {
		s.MaxBytes = c.MaxBytes
	}
	if c.First > 1 {
		s.FirstSeq = uint64(c.First)
	}
	return s
}

func (c StreamConfig) check() error {
	if !shardName.MatchString(c.Shard) {
		return fmt.Errorf("log of shard %q: bad name", c.Shard)
	}
	return nil
}

// Create makes the stream of a new, empty log. It is for the initialisation of a site and of a new replica, and for nothing else:
// a log that has gone must not be replaced by an empty one.
func Create(ctx context.Context, c *Conn, cfg StreamConfig) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := c.checkServer(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// CreateStream alone would succeed on an equal stream.
	switch _, err := c.js.Stream(bounded, cfg.name()); {
	case err == nil:
		return nil, &eventlog.Refusal{Err: ErrExists, Detail: "stream " + cfg.name(), Hint: "start without initialising"}
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("create log %s: %w", cfg.name(), reading(ctx, err))
	}
	if c.recents != nil {
		c.recents.forget(cfg.name())
	}
	s, err := c.js.CreateStream(bounded, cfg.stream())
	if err != nil {
		return nil, fmt.Errorf("create log %s: %w", cfg.name(), reading(ctx, err))
	}
	return newLog(ctx, c, cfg, s)
}

// Open opens the log of a shard. known is the mark of the last envelope that this node has read from it, the zero Mark if it has
// read none. It refuses with an *eventlog.Refusal when the stream is not there, is not configured as a log has to be, or is not
// the one that known was read from, and when appends to it would not be durable (see Sync).
func Open(ctx context.Context, c *Conn, cfg StreamConfig, known eventlog.Mark) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := c.checkServer(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := c.js.Stream(bounded, cfg.name())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, missing(cfg, known)
	}
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", cfg.name(), reading(ctx, err))
	}
	if err := errors.Join(checkConfig(cfg, s.CachedInfo()), checkState(cfg, s.CachedInfo())); err != nil {
		return nil, err
	}
	l, err := newLog(ctx, c, cfg, s)
	if err != nil {
		return nil, err
	}
	if err := eventlog.Check(ctx, l, known); err != nil {
		return nil, errors.Join(refuse(cfg, err), l.Close())
	}
	return l, nil
}

func missing(cfg StreamConfig, known eventlog.Mark) error {
	r := &eventlog.Refusal{Err: ErrMissing, Detail: "stream " + cfg.name(), Hint: "initialise the site first"}
	if known.Position > 0 {
		r.Detail = fmt.Sprintf("stream %s is gone, and this node has read it up to %d", cfg.name(), known.Position)
		r.Hint = "do not initialise it anew: bring back the server's store directory (meta.inf included), or restore the log from another replica or the archive"
	}
	return r
}

// refuse adds to what eventlog.Check found what a person can do.
func refuse(cfg StreamConfig, err error) error {
	r := &eventlog.Refusal{Err: err, Detail: "stream " + cfg.name()}
	switch {
	case errors.Is(err, eventlog.ErrBehind):
		r.Hint = "the server lost acknowledged envelopes or was restored from an older copy: restore the log from this node's replica, another one or the archive"
	case errors.Is(err, eventlog.ErrHash):
		r.Hint = "the log was rewritten after this node read it: compare with the other nodes to find the true history, then resync the wrong side"
	case errors.Is(err, eventlog.ErrGap), errors.Is(err, eventlog.ErrCorrupt):
		r.Hint = "the server's store is damaged: restore the log from another replica or the archive"
	case errors.Is(err, eventlog.ErrPurged):
		r.Hint = "this node is too far behind: rebuild its replica from a snapshot"
	default:
		return fmt.Errorf("open log %s: %w", cfg.name(), err)
	}
	return r
}

func (c *Conn) checkServer() error {
	if c.sync == SyncUnstated {
		return &eventlog.Refusal{
			Err:    ErrSync,
			Detail: "an external server's sync_interval cannot be seen from here",
			Hint:   `set sync_interval: always in the jetstream block of every server and state sync_always = true, or accept the loss of mail in a power cut with unsafe_sync = true`,
		}
	}
	if limit := c.nc.MaxPayload(); limit < eventlog.MaxEnvelopeBytes+headerRoom {
		return &eventlog.Refusal{
			Err: ErrServerLimit, Detail: fmt.Sprintf("max_payload is %d", limit), Hint: "set max_payload: 8MB on every server",
		}
	}
	return nil
}

// checkConfig names everything by which a stream could lose, change or hide what was appended.
func checkConfig(cfg StreamConfig, info *jetstream.StreamInfo) error {
	s := info.Config
	var wrong []string
	must := func(ok bool, problem string) {
		if !ok {
			wrong = append(wrong, problem)
		}
	}
	must(s.Storage == jetstream.FileStorage, "storage is not file")
	must(s.Retention == jetstream.LimitsPolicy, "retention is not limits")
	must(s.Discard == jetstream.DiscardNew, "discard is not new: at its limits it drops the oldest envelopes")
	must(s.MaxAge == 0, "max_age drops envelopes")
	must(s.MaxMsgs <= 0, "max_msgs is set")
	must(s.MaxMsgsPerSubject <= 0, "max_msgs_per_subject is set")
	must(s.MaxMsgSize <= 0 || int(s.MaxMsgSize) >= eventlog.MaxEnvelopeBytes+headerRoom, "max_msg_size is too small")
	must(s.Mirror == nil, "it is a mirror")
	must(len(s.Sources) == 0, "it has sources")
	must(len(s.Subjects) == 1 && s.Subjects[0] == cfg.subject(), "its subject is not "+cfg.subject())
	must(s.SubjectTransform == nil, "it transforms subjects")
	must(!s.NoAck, "it does not acknowledge")
	must(!s.Sealed, "it is sealed")
	must(s.Replicas <= 1 || !s.AllowDirect, "it is replicated and allows direct reads, which followers answer that lag behind")
	must(s.DenyDelete, "single messages can be deleted")
	must(!s.AllowRollup, "it allows rollups")
	must(!s.AllowMsgTTL, "it allows message TTLs")
	must(s.SubjectDeleteMarkerTTL == 0, "it makes delete markers")
	must(!s.AllowMsgCounter, "it is a counter")
	must(!s.AllowMsgSchedules, "it allows schedules")
	if len(wrong) == 0 {
		return nil
	}
	return &eventlog.Refusal{
		Err: ErrConfig, Detail: "stream " + cfg.name() + ": " + strings.Join(wrong, "; "),
		Hint: "correct the stream's configuration with the nats command, then check the log against another replica",
	}
}

// checkState finds what the server itself knows to be missing. Purge leaves the last message, so that an empty log is a new one.
func checkState(cfg StreamConfig, info *jetstream.StreamInfo) error {
	st := info.State
	var detail string
	switch {
	case st.NumDeleted > 0:
		detail = fmt.Sprintf("%d messages are missing inside it", st.NumDeleted)
	case st.Msgs == 0 && st.LastSeq > 0 && info.Config.FirstSeq != st.LastSeq+1:
		detail = fmt.Sprintf("it is empty, and once reached %d", st.LastSeq)
	default:
		return nil
	}
	return refuse(cfg, &eventlog.ChainError{
		Position: eventlog.Position(max(st.FirstSeq, 1)), Err: fmt.Errorf("%w: %s", eventlog.ErrGap, detail),
	})
}

// OpenDamaged opens the log of a shard to read what is left of it, whatever it is: nothing is checked, and nothing may be appended.
// ErrMissing says that there is no stream.
func OpenDamaged(ctx context.Context, c *Conn, cfg StreamConfig) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := c.js.Stream(bounded, cfg.name())
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", cfg.name(), reading(ctx, err))
	}
	return newLog(ctx, c, cfg, s)
}
