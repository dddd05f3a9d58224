// Package salvage carries over what a primary acknowledged and its successor never got: the divergent tail of the old primary's log.
//
// It reads the tail's events and does again, through a mailstore.Store of the new history, what is still sensible. No mail is lost, none
// is doubled, and nothing that is there is taken away:
//   - messages that were appended, delivered, copied or moved into a mailbox are appended to the same mailbox: the one with its id, or else
//     with its name, or else INBOX; unless one with the same GUID is in it. They get new UIDs. UIDVALIDITY never changes.
//   - flags are set and cleared on messages that are still there. What the tail said last of a flag of a message counts; flags it does not
//     speak of stay as they are, so that what was done on either side is kept.
//   - accounts and mailboxes are made where their names are free, under the names they had at the end of the tail; mailboxes are renamed where
//     the new name is free. Subscriptions, special uses, credentials and the barring of accounts become what the tail said last.
//   - nothing is deleted: no message, mailbox or account.
//
// The report names every event and what became of it. To salvage again, after a crash or by mistake, does what was left undone and no
// more: when all was done, nothing. Plan says beforehand what Apply would do.
//
// The order is not that of the tail, for the sake of that: first the names of mailboxes are brought to where they were at its end, then what
// depends on them is done.
//
// The package imports eventlog, mailstore, replica and internal/codec.
package salvage
