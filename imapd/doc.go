// Package imapd is the IMAP server: IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) with the extensions that capability.go lists.
//
// A Server accepts connections; each is served by one goroutine, whose life is session.serve: wait for input without a buffer,
// read one command, let its handler act, send what changed in the selected mailbox, send the tagged reply. There is one file
// per command, named after it; commands.go is the table of them, with the states in which they are allowed.
//
// The package imports mailstore, what mailstore's methods speak of (replica, replica/state, replica/view, eventlog/event),
// message, imapd/wire and internal/auth. It knows neither NATS nor Pebble.
//
// # What the package guarantees
//
// A connection that waits costs one goroutine and no buffers. While it idles (RFC 2177) in a mailbox, or listens for what it
// asked for with NOTIFY (RFC 5465), one more goroutine waits for changes; nothing polls.
//
// NOTIFY keeps no picture of the account: the replica gathers what has changed since the session looked, as the last state of each mailbox and
// no more of them than Limits.NotifyMailboxes. A client that reads slowly gets fewer responses, never old ones.
//
// Before login nothing reaches the store but the lookup of a credential, and little memory can be tied up (wire.PreAuthLimits).
//
// A literal is consumed exactly, or the connection is closed: no octet of a message is ever taken for a command.
//
// No handler writes to the connection while it holds a lock of the store.
//
// EXPUNGE is never sent during FETCH, STORE and SEARCH. NOOP and CHECK tell of everything that was acknowledged to anybody on
// this node before them.
//
// Passwords are neither logged nor traced: a trace begins after the login.
//
// A panic in a handler ends its connection and no other.
package imapd
