// Command chaos runs two nodes, east and west, under load and faults, and checks after each round that they kept their promises.
//
//	go run ./test/chaos -rounds 20 -seed 1 -mode ack
//
// Clients of both nodes deliver by LMTP, and append, change flags and expunge by IMAP (load.go, worker.go, deliverer.go). What they were told goes
// into a ledger (ledger.go). A round is of one mode:
//
//   - ack: writes are acknowledged once the replica has them. The primary is killed with SIGKILL under load and the other node promoted by
//     force: every acknowledged message has to be there before the old primary returns.
//   - local: the same without acknowledgements, in some rounds with the link cut some time before. What was acknowledged and is missing on the
//     new primary is counted; once the old primary is back, all of it has to be there.
//   - planned: the roles are exchanged under load. No client may notice more than a pause.
//   - split: the link between the nodes is cut, or fails in one direction, or a node is stopped with SIGSTOP; both go on, the replica is
//     promoted by force, and the link is mended. Both histories have to end up in one.
//   - slow: all that goes over the link is late, and with hosts some of it is lost and sent again; meanwhile the roles are exchanged, or
//     the primary is killed.
//   - pause: the nodes are stopped with SIGSTOP for random times, and the replica is killed; the lead stays.
//   - clock: the nodes' wall clocks are set forward and back by up to 400 days, and then the roles are exchanged, or the primary is killed.
//
// With -cluster there are three nodes that share one replicated log (team.go, rounds_team.go), and nobody promotes anything:
//
//   - kill, stop: the primary is killed, or stopped for up to 15 seconds.
//   - cut: a node is parted from the others, in one direction or both, while clients reach all three. It needs hosts.
//   - slow, clock: as above.
//   - restart: all nodes one after the other. No client of another node may notice more than a pause.
//
// After each round (check.go, settle.go) both nodes hold the same (IMAP shows it, and so does syncctl verify --against in both directions), a
// deep verification of each finds nothing, each acknowledged message is there exactly once with the octets that were sent, acknowledged flags
// are set, acknowledged expunges stay, UIDVALIDITY is what it was, no UID names another message than before, UIDs follow the order of the
// commands, and nothing that a node set aside was written after it knew that another leads.
//
// What a client was told of a history that ends with a forced promotion (UIDs, and expunges) does not hold any more, but for its messages and
// the flags it set: those are carried over. In the modes with such ends clients only add flags.
//
// As root each node runs in a network namespace of its own (hosts.go), and the link fails there; else both are on the loopback interface, linked
// through a proxy in this process (proxy.go), which is where the link fails. A clock that steps is one of a server built with another package time
// (clock.go). The seed decides what the clients do and
// what fails when; the nodes' own timing it does not decide.
//
// The command may import eventlog, to read what was set aside, internal/control, and replica/state for what that tells.
package main
