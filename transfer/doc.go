// Package transfer is the way in and the way out: it copies accounts from Maildir, mbox, archive directories and other IMAP servers into
// the store, and out of it into Maildir, mbox and archive directories, so that they can come back.
//
// An import goes folder by folder. The Source lists the messages of a folder, and which of them are new is found out from a ledger: a file
// that says which message of the source became which UID. A ledger that is lost costs reading, not duplicates: a message that is there, by
// GUID and date, and that nothing of the source stands for yet, is taken for the one it would become. So an import can be interrupted
// anywhere and run again, and brings only what is new.
//
// Where numbers are kept (Options.Keep), mailboxes have the UIDVALIDITY, messages the UIDs of the source, and UIDNEXT and HIGHESTMODSEQ go on
// above those of the source: a client with a cache sees the mailbox it knows. UIDs that are in use are never given again: what does not fit
// gets new numbers, and the Report says so.
//
// Everything is written through package mailstore, which may be imported, as may eventlog/event, replica/state and internal/durable.
package transfer
