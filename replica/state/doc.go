// Package state is the functional core of a replica: what one event makes of the state before it.
//
// Apply is pure and total over the vocabulary of package event: the same state and the same event give the same state on
// every node and at every time. It imports no clock, no randomness, no files and no logger; a replica hands it a
// Tx over its store, tests hand it plain maps. What an event claims (UID, modseq, UIDVALIDITY, GUIDs) is checked against the
// state, and an event that does not fit gives ErrDiverged: the replica halts instead of guessing.
//
// Keys and rows are this package's own (keys.go, rows.go). Beside the rows it keeps
//   - counters of every mailbox (messages, unseen, deleted, size, HIGHESTMODSEQ), so that nothing is counted on demand;
//   - a digest of every mailbox and of the whole state, an XOR of hashes kept incrementally (digest.go), which Checkpoint
//     events compare between replicas;
//   - tombstones of expunged UIDs by modseq, for QRESYNC (RFC 7162).
//
// The package imports eventlog/event only.
package state
