// Package archive keeps copies of logs apart from the stores they come from, on a directory or an S3 server, and brings stores back from
// them (docs/archive-format.md).
//
// An archive is a set of objects on a Target. Objects are written once, whole or not at all, and never change. Segments hold the envelopes
// of a shard's log, verbatim; the hash chain of the log runs through them. Snapshots hold the state at one position, so that what was
// before it can be pruned. Packs hold the bodies that kept snapshots need and whose segments are gone: a body is in an archive once.
//
//   - Shipper copies a log as it grows, Shard reads one shard of an archive, Shard.Recover makes a new log and replica of it, Archive.Verify
//     checks everything, Shard.WriteSnapshot and Shard.Prune make and remove points to come back to.
//   - Within a segment the bytes of bodies lie apart from the events, and an index says which frames concern which account: to fold the history of
//     one account, little more is read than its own events.
//
// # Guarantees
//
//   - A shipper never holds back the log, nor anybody who writes to it. It can be killed anywhere: what was put is found again, what was not is
//     put. It verifies the chain before it ships, and refuses to continue an archive of another history.
//   - Nothing damaged is given as good: every frame has a checksum, every object a SHA-256, every envelope its hash and place in the chain, every
//     body its GUID. A *DamageError names the object.
//   - Memory is bounded by MaxObjectBytes and a few frames, whatever is in an archive.
//
// # What a snapshot is
//
// A snapshot is the rows of the state (replica/state) in order of their keys, without those of bodies, and the GUIDs of the bodies. It is not
// made of events: no sequence of today's events has the modseqs, tombstones, keyword tables and counters of a state that came about another
// way, and a list of rows is exact by construction. Bodies do come back through events: their chunks are applied in log order, so that
// each lies in a replica where it would after following the log.
//
// The package imports eventlog, eventlog/event, replica/state and internal/codec.
package archive
