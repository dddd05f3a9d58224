// Package lmtpd takes mail from a mail transfer agent over LMTP (RFC 2033) and delivers it into the store.
//
// The main path of a message, in the order of the files: Server.Serve (server.go) accepts a connection; conn.serve (conn.go) reads its
// commands (command.go); mail and rcpt (envelope.go) build a transaction; data and bdat (data.go) read the message (receipt.go) behind the
// fields that are put on top of it (trace.go); conn.deliver (deliver.go) cleans it (clean.go), hands it to the store and
// answers once for each recipient.
//
// The package may import lmtpd/address, mailstore and internal/auth. It knows neither NATS nor Pebble.
//
// # What it guarantees
//
// A 250 after a message is said only when the store has returned without an error for that recipient: the message is on disk.
// A client that breaks off in the middle of a message, in DATA or in BDAT, delivers nothing.
//
// All recipients of a transaction get the same octets: one Return-Path and one Received field are put on top, neither of which
// names a recipient, so that the store keeps one body for all of them. Return-Path fields that the message brought along are
// removed (RFC 5321, section 4.4), as Cyrus does.
//
// The end of DATA is CRLF "." CRLF and nothing else. LF "." LF, LF "." CRLF, CRLF "." LF, CR "." CR and the like are part of the
// message, whatever the policy for newlines: what one server takes for the end of a message and another does not is how
// mail is smuggled (CVE-2023-51764). Nor does a command run that was sent in clear text after STARTTLS (CVE-2011-0411).
//
// After every refusal the connection is in step: the whole message or chunk is read and the replies are as many as the client
// expects. Where that can't be, it is closed.
//
// Every message, line, list of recipients, number of connections and number of errors has a bound, and so has the sum of the
// messages that are being received (Options.MaxBuffered).
//
// # Newlines and NUL
//
// A store for IMAP needs lines that end with CRLF. What is done about others is Options.BareNewline:
//
//   - Normalize, the default: an LF without CR becomes CRLF, and a CR without LF is removed, as in Cyrus. Postfix takes such an
//     LF for the end of a line too (smtpd_forbid_bare_newline = normalize); a CR is none for it, so it must not become one here,
//     behind the filters that have seen the message as Postfix has.
//   - Reject: 554 5.6.0.
//   - Accept: the message is stored as it is.
//
// NUL octets are neither text nor allowed in an IMAP literal (RFC 9051, section 4.3.1). Options.NUL is Reject (554 5.6.0, as Cyrus),
// Strip or Accept. BINARYMIME (RFC 3030) is offered only where both policies are Accept: every other one would damage or
// refuse what that extension is for.
//
// # Why not go-smtp's server
//
// The server of emersion/go-smtp 0.25.1 was measured and read for this. It stores a truncated message as complete when the
// connection ends within a BDAT chunk; waits for ever for the end of a message whose last line ends with CR CR LF; drops
// the CR of "." CR; drops the connection at a line of more than 2,000 octets, or, without that limit, reads command lines of any length; refuses
// a message of exactly the size limit; knows no recipient without domain, not even postmaster (RFC 5321, section
// 4.5.1); says 502 where RFC 2033 demands 503; lets a second MAIL change the sender of a transaction; answers one time
// for several recipients when BDAT LAST fails; and can't end idle connections when it shuts down. It reads a message octet by octet through a
// buffer of 4 KiB and writes every line of an answer by itself. Its LMTP client is used in the tests as an independent one.
package lmtpd
