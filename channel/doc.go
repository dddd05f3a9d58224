// Package channel joins nodes by links: the primary of a shard sends its envelopes to its replicas, and nodes ask one another.
//
// A link is made by the node that joins: it dials the other node's listener with a join token, which names the address, the
// SHA-256 of the listener's certificate and the joiner's secret. Who dialled decides nothing else. Both nodes serve the same
// requests to each other, so that after a promotion the same link carries envelopes the other way, although only one of the
// nodes may be reachable.
//
// # Transport
//
// A link is two TLS 1.3 connections, both dialled by the joiner. Each begins with a hello that carries name, secret and direction
// and an answer to it (hello.go); only then HTTP/2 begins, on the first with the joiner as client, on the second with the joiner
// as server. Nothing is parsed or served before the secret was checked. HTTP/2 is that of net/http, with prior knowledge, inside
// TLS: it multiplexes, has flow control per request, cancels, and its pings find a peer that is gone, and it is no further
// dependency. Both connections live and die together.
//
// # What goes over a link
//
//   - State (state.go): what each node claims of itself, asked for each second and told at once after Hub.Announce.
//   - Follow (follow_send.go, follow_receive.go): the receiver names the mark of its last envelope; the sender checks that its log
//     holds it and streams what comes behind, verbatim; the receiver verifies the chain, appends to its own log and acknowledges
//     what is durable there. Acks collects that for those who wait for it.
//   - Calls and streams (call.go, serve.go): requests by name, with handlers that the node registers.
//   - Seeds (seed.go, seed_serve.go): a checkpoint as plain files, resumable.
//   - Common history (common.go): envelopes by position and the last mark that two logs share.
//
// # Guarantees
//
//   - A receiver appends only what continues its own log: Log.Append is given the mark before it, and eventlog.Chain has verified it.
//   - A position is acknowledged only when the receiver's log has it on stable storage. Acknowledgements of a former history are
//     forgotten when a receiver follows again.
//   - After a break nothing is sent again that the receiver's log holds.
//   - A call that fails with ErrUnreachable was not executed; with ErrLost, nobody knows; with a *RemoteError the peer answered.
//   - Every buffer is bounded (limits.go); a peer that does not answer within about five seconds is taken for gone.
//
// The package may import eventlog and eventlog/event. It applies nothing and decides no roles: that is for the node.
package channel
