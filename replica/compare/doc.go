// Package compare tells whether two replicas hold the same mail, and where they do not.
//
// Digests says in one row each what every account and mailbox is like; Records gives one account message by message. Both are streams in
// a fixed order, so that two of them are compared side by side in constant memory (CompareDigests, CompareRecords), also when one
// of them comes from another node (Write, Read). With Options.Deep, what is compared is computed anew from the records: the digest that the
// replica keeps is compared too, but never believed.
//
// Both sides must be read at the same log position, each from one snapshot; the caller sees to that.
//
// The package imports replica/state and eventlog/event only.
package compare
