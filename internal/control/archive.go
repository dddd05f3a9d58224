package control

import "time"

// Paths of the API of archive and restore.
const (
	PathBackup        = "/v1/archive/backup"    // POST ArchiveRef: lines, the last a BackupResult
	PathSnapshots     = "/v1/archive/snapshots" // POST ArchiveRef: SnapshotList
	PathPrune         = "/v1/archive/prune"     // POST PruneRequest: PruneResult
	PathVerifyArchive = "/v1/archive/verify"    // POST VerifyArchiveRequest: lines of ArchiveFinding, the last a VerifyArchiveResult
	PathUsage         = "/v1/usage"             // POST ArchiveRef: Usage
	PathRestore       = "/v1/restore"           // POST RestoreRequest: lines of RestorePlan, the last a RestoreResult
	PathHistory       = "/v1/history"           // POST HistoryRequest: lines of HistoryEvent, the last an empty object
	PathRecall        = "/v1/recall"            // POST RecallRequest: RecallResult
)

// ArchiveRef names an archive; without a URL it is the one of the node's configuration.
type ArchiveRef struct {
	URL     string `json:"url,omitempty"`
	KeyFile string `json:"key_file,omitempty"`
}

// ArchiveStatus is how the copying of a shard to the archive does.
type ArchiveStatus struct {
	Target     string    `json:"target"`
	State      string    `json:"state"`                 // "following", "starting", "failing", "idle": this node does not lead
	Shipped    uint64    `json:"shipped"`               // the archive holds all up to this position
	Sealed     uint64    `json:"sealed"`                // in sealed segments up to this one
	Time       time.Time `json:"time,omitzero"`         // commit time of what was shipped last
	LagSeconds float64   `json:"lag_seconds"`           // age of the oldest envelope that is not in the archive
	Bytes      uint64    `json:"bytes"`                 // uploaded since the start
	Error      string    `json:"error,omitempty"`       // of the last attempt
	Since      time.Time `json:"since,omitzero"`        // when attempts began to fail
	Snapshot   time.Time `json:"snapshot,omitzero"`     // when the last snapshot was taken by this server
	SnapshotAt uint64    `json:"snapshot_at,omitempty"` // its position
	SelfTest   *SelfTest `json:"self_test,omitempty"`   // the last one, of the whole archive
}

// SelfTest is a restore of the archive into a scratch directory, which was compared with the store.
type SelfTest struct {
	Time    time.Time `json:"time"`
	OK      bool      `json:"ok"`
	Detail  string    `json:"detail,omitempty"` // what was wrong
	Seconds float64   `json:"seconds"`
}

// BackupResult is the end of a backup: everything up to these positions is in the archive, with a snapshot there.
type BackupResult struct {
	Target string        `json:"target"`
	Shards []BackupShard `json:"shards"`
}

// BackupShard is a shard of a backup.
type BackupShard struct {
	Shard    int     `json:"shard"`
	Position uint64  `json:"position"`
	Snapshot string  `json:"snapshot"` // the name of its object
	Bytes    uint64  `json:"bytes"`    // uploaded meanwhile
	Seconds  float64 `json:"seconds"`
}

// Snapshot is a point that an archive can come back to even when its history from before is pruned.
type Snapshot struct {
	Shard    int       `json:"shard"`
	Position uint64    `json:"position"`
	Time     time.Time `json:"time"`
	Rows     uint64    `json:"rows"`
	Bodies   uint64    `json:"bodies"`
	Bytes    int64     `json:"bytes"`
	Object   string    `json:"object"`
}

// ArchivedShard says what of a shard an archive holds.
type ArchivedShard struct {
	Shard     int        `json:"shard"`
	First     uint64     `json:"first"` // any position from here to Last can be restored
	Last      uint64     `json:"last"`
	Time      time.Time  `json:"time,omitzero"` // commit time of Last
	Error     string     `json:"error,omitempty"`
	Snapshots []Snapshot `json:"snapshots"`
}

// SnapshotList is the answer to POST PathSnapshots.
type SnapshotList struct {
	Target  string          `json:"target"`
	Objects int             `json:"objects"`
	Bytes   int64           `json:"bytes"`
	Shards  []ArchivedShard `json:"shards"`
}

// Keep says which snapshots a pruning keeps: those that any of its rules names, and always the newest.
type Keep struct {
	Last    int           `json:"last,omitempty"`
	Hourly  int           `json:"hourly,omitempty"`
	Daily   int           `json:"daily,omitempty"`
	Weekly  int           `json:"weekly,omitempty"`
	Monthly int           `json:"monthly,omitempty"`
	Within  time.Duration `json:"within,omitempty"` // nanoseconds; all history of that time, too
}

// PruneRequest is the request of POST PathPrune. Without rules it is those of the node's configuration.
type PruneRequest struct {
	Archive ArchiveRef `json:"archive,omitzero"`
	Keep    Keep       `json:"keep,omitzero"`
	DryRun  bool       `json:"dry_run,omitempty"`
}

// PruneResult is what a pruning did, or would do.
type PruneResult struct {
	DryRun bool          `json:"dry_run"`
	Shards []PrunedShard `json:"shards"`
}

// PrunedShard is a shard of a pruning.
type PrunedShard struct {
	Shard   int        `json:"shard"`
	Keep    []Snapshot `json:"keep"`
	Remove  []Snapshot `json:"remove"`
	From    uint64     `json:"from"`    // from here on any position can be restored
	Objects int        `json:"objects"` // removed
	Bytes   int64      `json:"bytes"`   // of these
	Packed  int64      `json:"packed"`  // bytes of bodies that were written anew
}

// VerifyArchiveRequest is the request of POST PathVerifyArchive.
type VerifyArchiveRequest struct {
	Archive ArchiveRef      `json:"archive"`
	Deep    bool            `json:"deep"`              // fold all of it, too
	Live    []VerifiedShard `json:"live,omitempty"`    // what the store has, to compare with
	Scratch string          `json:"scratch,omitempty"` // a directory for the fold; "": one for temporary files
}

// ArchiveFinding is one thing that is wrong with an archive.
type ArchiveFinding struct {
	Kind     string `json:"kind"`
	Shard    int    `json:"shard"`
	Object   string `json:"object,omitempty"`
	Position uint64 `json:"position,omitempty"`
	Detail   string `json:"detail"`
	Harmless bool   `json:"harmless,omitempty"`
}

// VerifyArchiveResult is the end of a verification of an archive.
type VerifyArchiveResult struct {
	OK        bool   `json:"ok"`
	Target    string `json:"target"`
	Objects   int    `json:"objects"`
	Bytes     int64  `json:"bytes"`
	Envelopes uint64 `json:"envelopes"`
	Events    uint64 `json:"events"`
	Bodies    uint64 `json:"bodies"`
	Snapshots int    `json:"snapshots"`
	Folded    uint64 `json:"folded_events"` // with Deep
	Faults    int    `json:"faults"`
	Harmless  int    `json:"harmless"`
	// Listed is filled in by the tool from the items.
	Listed []ArchiveFinding `json:"listed,omitempty"`
}

// Usage says where the disk goes.
type Usage struct {
	Data    string        `json:"data"`
	Free    uint64        `json:"free"` // of the file system, in bytes
	Log     uint64        `json:"log"`  // of the embedded server
	Shards  []ShardUsage  `json:"shards"`
	Other   uint64        `json:"other"` // everything else in the data directory
	Archive *ArchiveUsage `json:"archive,omitempty"`
}

// ShardUsage is the disk that a shard takes.
type ShardUsage struct {
	Shard  int    `json:"shard"`
	Bodies uint64 `json:"bodies"`
	Index  uint64 `json:"index"`
	First  uint64 `json:"first"` // what the log holds
	Last   uint64 `json:"last"`
	// Retention says what of it could go, and why it does not.
	Retention *Retention `json:"retention,omitempty"`
}

// ArchiveUsage is what an archive takes.
type ArchiveUsage struct {
	Target  string `json:"target"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
}
