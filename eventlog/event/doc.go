// Package event is the vocabulary of the log: one closed sum type and its CBOR codec.
//
// Events are facts, never commands: they say what has become of which UIDs, at which modseq, and carry every number that a
// replica needs, so that no replica decides anything and applying the log twice gives the same state. UIDs and modseqs are
// carried and checked again by the state machine; times are carried, no replica looks at a clock.
//
// An encoded event is the CBOR array [kind, meta, body] (docs/log-format.md and docs/log-format.cddl); bodies are maps with
// integer keys. Encoding is deterministic (RFC 8949, section 4.2.1). Decoding refuses unknown kinds and unknown fields: a
// replica that ignores what it does not know diverges in silence.
//
// A kind that was shipped never changes; a new need adds a kind. testdata/golden holds a sample of every kind ever shipped.
//
// The package imports nothing of ours.
package event
