// Package mailstore is the one door through which mail is written and read.
//
// Every method takes the identity that acts. A write decides, under the lock of the accounts it touches and against the state
// they are in, which events come of it; appends them to the log of the account's shard as one unit; waits until the local
// replica has applied them; and returns what was assigned. So whoever got an answer reads what he wrote, and what was answered
// is on disk. Access is checked here and nowhere else (access.go).
//
// The locks of a write are held until its outcome is known, even when the caller has gone: no later decision is made on a state
// that an append in flight will change.
//
// The package imports eventlog, replica and message. It knows no protocol; imapd and lmtpd know neither NATS nor Pebble.
package mailstore
