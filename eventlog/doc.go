// Package eventlog is the log of a shard: what is in it is true, and every replica is what one gets by replaying it.
//
// A log is a stream of envelopes. An envelope carries the events of one commit, the epoch of the primary that wrote it, the
// global index of its first event, the hash of the envelope before it and its own (docs/log-format.md). Log is where envelopes
// are kept: package jslog keeps them in a NATS JetStream stream, package memlog in memory. Writer groups concurrent appends into
// envelopes, Follower reads them back and verifies the chain, Fence makes a new primary.
//
// # Guarantees
//
//   - An append succeeds only behind the very envelope it names, by position and hash. That is the fence: a primary that was
//     deposed, is behind, or runs twice cannot append, and pipelined appends of a deposed primary cannot land behind an envelope
//     they do not know.
//   - Append returns a receipt only when the envelope is on stable storage as far as the log promises it.
//   - All events of a unit are in one envelope: all of them are in the log, or none.
//   - A Follower never yields an envelope that does not continue the chain. A gap, an index jump, a foreign hash, a bad epoch or
//     bytes it cannot read are errors that name the position.
//
// The package imports eventlog/event and nothing else of ours.
package eventlog
