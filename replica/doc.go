// Package replica materialises one shard of the log: it follows the log, applies every event with state.Apply, and serves
// what came of it.
//
// The index is a Pebble store without a write-ahead log, the bodies lie in segment files (package body). Each batch of
// envelopes is one Pebble batch that also holds the position, so after a crash the index stands at some earlier position and
// the log is applied from there on. One rule keeps index and bodies together: no index entry reaches the disk before the
// body bytes it refers to. What Pebble has flushed becomes part of the index by a record in its MANIFEST, so the bodies are
// synced before each write to the MANIFEST (syncfs.go); an acknowledged delivery pays for one fsync, the log's.
//
// A replica that meets something it cannot apply (a gap, another history, an event that does not fit) halts: it keeps
// serving what it has, says why and where, and applies nothing any more.
//
// Bodies go when no message has had them for long enough: marks say since when (garbage.go), event.BodiesDropped says so to all replicas, and
// compaction moves what is left in their segments (compact.go). Who reads bodies by rows read before keeps the files meanwhile (pins.go).
//
// Sessions read a mailbox through a Box: an immutable snapshot of its row and its live messages that is replaced when
// something changes (box.go). Who wants to know of a whole account watches it (accounts_watch.go): what has changed since he looked last
// is kept for him, within a bound. While nobody watches that costs a batch nothing.
//
// The package imports eventlog, replica/state, replica/body and replica/view. It knows no protocol.
package replica
