// Package mailstore is the one door through which mail is written and read.
//
// Every method takes the identity that acts. A write decides, under the lock of the accounts it touches and against the state
// they are in, which events come of it; appends them to the log of the account's shard as one unit; waits until the local
// replica has applied them; and returns what was assigned. So whoever got an answer reads what he wrote, and what was answered
// is on disk. Access is checked here and nowhere else (access.go).
//
// A node that is not the primary of an account's shard has the same methods: a write is sent to the primary (Forwarder, Serve), which decides
// on it, and the method returns when the local replica has what came of it. So whoever is connected to any node reads what he wrote. What a
// failed write says of its outcome is the same on every node:
//   - ErrUnavailable alone: nothing was done, and nothing will be.
//   - ErrUnavailable and eventlog.ErrUnknown: it may have been done. That the primary did it and the local replica did not get it within
//     Options.ForwardWait is told so too, but for a delivery: whose sender does not read here and would send it twice. CatchUp tells which.
//   - any other error is the primary's, and the local replica has what it was decided on, unless it did not get that in time.
//
// While a shard changes its primary (Freeze), writes wait, and then go to the new one.
//
// The locks of a write are held until its outcome is known, even when the caller has gone: no later decision is made on a state
// that an append in flight will change.
//
// The package imports eventlog, replica and message. It knows no protocol; imapd and lmtpd know neither NATS nor Pebble.
package mailstore
