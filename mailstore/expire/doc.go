// Package expire keeps mailboxes within the limits that an operator has set, and says how long what is gone stays restorable: what
// cyr_expire, ipurge, delete_mode and expunge_mode are in Cyrus.
//
// A Set is the policies of a configuration. Set.For gives what they say of one mailbox; an Expirer goes through all mailboxes and expunges what is
// over their limits, as any client's expunge, with the policy as the actor of the event ("policy:trash"). An event speaks of
// at most Expirer.Batch messages, and no more than Expirer.Rate are expunged in a second.
//
// # Age
//
// A message is as old as it has been in its mailbox: its save date (RFC 8514) counts, so that mail that is moved to the trash stays there for the
// whole time, whenever it was written. UIDs are given in that order, so the work is that of the messages that are expunged, and one row.
// A policy can ask for the internal date instead, as cyr_expire takes it; that has no order, and all records of the mailbox are read.
// Limits of number and size expunge what came first.
//
// The package imports mailstore, eventlog/event and replica/state.
package expire
