// Package message knows what a mail store has to know of an RFC 5322/MIME
// message: where its parts are, and how IMAP describes it.
//
// [Parse] reads a message once, at delivery. Its [Structure] is marshalled into
// a small blob that is kept beside the message, so that FETCH ENVELOPE, BODY,
// BODYSTRUCTURE, BODY[section] and the commonly asked HEADER.FIELDS are
// answered from the blob (and a slice of the message) without parsing again.
// [Blob] reads single items out of the encoded form without decoding the rest.
//
// The package is pure: functions over byte slices, no I/O, no clock, no shared
// mutable state. It imports the standard library and golang.org/x/text only.
//
// # Guarantees
//
//   - Parse is total. It neither fails nor panics on any bytes; what it can't
//     understand it describes by a simpler, valid structure.
//   - Every extent lies within the message; every part lies within its parent.
//   - The rendered ENVELOPE, BODY and BODYSTRUCTURE are valid IMAP syntax
//     (RFC 9051, section 9): strings of printable ASCII are quoted, everything else is
//     a literal, NUL bytes are dropped.
//   - Depth, parts, addresses and the size of the blob are bounded (limits.go).
//     When a bound cut something off, [Structure.Truncated] says so.
//   - Parse is deterministic, and so is the encoding. A change of either that
//     alters the output has to change the version of the blob; a reader then gets
//     [ErrVersion] and parses the message again.
//
// # How broken messages are read
//
//   - Lines end in LF; a CR before it is part of the line end. A header ends at
//     the first empty line, at a boundary of an enclosing multipart, or at the
//     end of the message. Lines without a colon are not fields, and are kept
//     where a section is returned verbatim.
//   - A boundary line is "--", the boundary, optionally "--", then only white
//     space. The innermost open multipart is asked first. A boundary of an outer
//     multipart closes the inner ones.
//   - A multipart that has no boundary parameter, or in which no part
//     begins, is a text/plain leaf: its text stays readable as part 1.
//   - A Content-Type that can't be read is text/plain in US-ASCII (RFC 2045,
//     section 5.2), message/rfc822 inside multipart/digest.
//   - A multipart or message nested too deep, and a message/rfc822 in base64 or
//     quoted-printable (RFC 2046, section 5.2.1 forbids it), is an
//     application/octet-stream leaf, since IMAP has no other way to describe a
//     message without its envelope.
//   - An address without a mailbox or domain has the empty string there; NIL
//     would mean a group (RFC 9051, section 7.5.2). Of repeated address fields
//     the addresses are joined, of other repeated fields the first counts.
package message
