// Command crash kills a server with SIGKILL under load, again and again on the same data directory, and checks after each restart
// that it kept its promises.
//
//	go run ./test/crash -rounds 200 -seed 1
//
// A round starts the server, lets LMTP and IMAP clients work on it at once (load.go, worker.go, delivery.go), kills it at a random moment,
// starts it again, and compares what IMAP shows (observe.go) with what the clients were told (model.go, change.go, check.go):
//
//   - a message that was acknowledged is there exactly once, under the UID that was told, with the octets that were sent;
//   - a change of flags that was acknowledged is there, and so is its modseq;
//   - a message that was expunged or moved away is gone;
//   - what was not acknowledged is there whole or not at all, and whole if any client saw it;
//   - UIDVALIDITY and MAILBOXID stay, UIDNEXT and HIGHESTMODSEQ never go back, and no UID ever names another message;
//   - a deep verification of the store finds nothing.
//
// Some rounds kill the server while it starts. Some remove the replica while the server is down: the log alone has to bring
// back equal mailboxes, UIDs, flags and modseqs, and an equal digest of the state.
//
// Each client changes only messages and mailboxes that are its own, in mailboxes it shares with others: so what has to be there is
// known in spite of all that goes on at once. The seed decides what the clients do; when the server dies under them it doesn't.
//
// SIGKILL leaves the page cache of the system alone: what a power cut does is tested with simulated file systems elsewhere.
//
// The command may import internal/control. It speaks IMAP and LMTP by itself (imap.go, lmtp.go).
package main
