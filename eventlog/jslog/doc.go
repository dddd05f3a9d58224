// Package jslog keeps logs in NATS JetStream: one file stream per shard, on a server embedded in this process or an external one.
//
// # What JetStream is relied on for
//
//   - One append, one message. It carries the expected last sequence and, as message ids, the hash of the envelope before and its
//     own; the server compares both under the stream's lock. The sequence alone would not do: of two pipelined appends of a deposed
//     primary, the first is refused because the new primary was there first, and the second then finds exactly the sequence it
//     expects. De-duplication is not relied on: its window is as short as the server allows.
//   - On a replicated stream the expected last sequence alone. There nats-server 2.15.2 compares the expected message id only when it
//     applies an entry that was replicated already, and takes a mismatch for a write error that stops the stream on every
//     replica. So Log does not send the expected id there, and sends an append only when the one before was acknowledged, or was
//     found in the stream by its hash: then the sequence is a fence. A log has to be opened again after its stream was scaled.
//   - An acknowledgement after fsync: the server must run with sync_interval "always". The embedded one always does. What an
//     external server does cannot be learned through an ordinary account (only the system account sees the server's configuration),
//     so the operator has to state it: see Sync.
//
// # What it is not relied on for
//
// Content. A stream is never created where one may have been (Create is for the first start, Open for all others), Open compares the
// stream with what the replica has read before, and everything that is read goes through eventlog.Follower.
//
// # What was just appended
//
// Everything gets into the stream of an embedded, unreplicated log through this process. A Log keeps the last envelopes that were acknowledged
// there (recent.go), and a tail that has caught up takes what comes next from them; it asks the server when it is further behind, and when an append was not
// acknowledged, because something may then be in the stream that is not in memory.
//
// # Full and failing disks
//
// A write or fsync that fails makes nats-server refuse all further writes to the stream until it is restarted, without
// answering: appends end with eventlog.ErrUnknown. Embedded therefore keeps MinFreeBytes of the file system free and refuses
// appends with eventlog.ErrNoSpace before it comes to that, and recovers by itself if it does: it stops the server, copies the newest
// block of each stream to a new file that it syncs (after a failed fsync the kernel may hold pages as clean that the disk does not
// have), and starts the server again. Clients reconnect, and eventlog.Writer looks for what became of its envelopes.
//
// Go's heap grows with large replays: set GOMEMLIMIT.
//
// The package imports eventlog and nothing else of ours.
package jslog
