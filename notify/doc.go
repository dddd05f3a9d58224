// Package notify tells others of what happens to mail: a projection from the log to the events of RFC 5423 and of Cyrus IMAP, as flat JSON, and the sinks
// that deliver them (docs/events.md).
//
// # From the log to events
//
// Which events there are, in which order, and what identifies each of them (its place, name, account, mailbox, UIDs, modseq, flags) is read from the
// envelope alone. So every node, at any time, makes the same events of the same position, and a sink that begins again somewhere sends nothing twice and
// leaves nothing out.
//
// What an envelope does not say (the name of a mailbox, its counters, a message's ENVELOPE) describes the event and is taken from the state. A state
// of notification's own would be all mailboxes with the flags of all messages once more, to be kept on disk and replayed; instead the replica
// hands over what it has just made of each batch (Feed.Committing), which is exact, and whoever is so far behind that this is no longer in memory reads
// the log again and describes with the present state. What is then not known to be that of the position is named in the event's "degraded". The same
// mark tells of what could not be built: hostile headers, bytes that are not UTF-8, what exceeds a bound. Nothing fails, and no event is left out.
//
// After a crash the replica applies again what it had not made durable, and hands that over as well; so what a crash interrupts is exact too.
//
// # What holds
//
//   - Nothing here is waited for by a write. The replica pushes to a bounded queue; when that is full, it is emptied, and those who need the events read
//     the log.
//   - Each sink has its own position, made durable by itself. A slow or dead receiver costs its sink one batch in memory, and others nothing.
//   - Events of an account are in order, for every sink: an account is in one shard, and a shard is read by one cursor.
//   - Login and Logout are not changes of mailboxes. They are not in the log, have no place, and are best effort.
//
// Feed projects a shard and keeps the newest events; Cursor reads a feed from anywhere; Filter says what a sink wants; Delivery drives a Target
// (Webhook, Exec, File) at least once; package bus publishes to JetStream exactly once; Notifier puts them together for a node.
//
// The package imports eventlog, eventlog/event, replica/state and message. It knows neither NATS nor Pebble.
package notify
