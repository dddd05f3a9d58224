package mailstore

import "errors"

// What callers decide on. Errors of this package wrap one of them.
var (
	// ErrNoAccount says that there is no such account.
	ErrNoAccount = errors.New("no such account")
	// ErrAccountExists says that there is such an account already.
	ErrAccountExists = errors.New("account exists")
	// ErrNoMailbox says that there is no such mailbox.
	ErrNoMailbox = errors.New("no such mailbox")
	// ErrMailboxExists says that there is such a mailbox already.
	ErrMailboxExists = errors.New("mailbox exists")
	// ErrName says that a mailbox cannot have this name.
	ErrName = errors.New("invalid mailbox name")
	// ErrNotAllowed says that this cannot be done to this mailbox, as deleting INBOX.
	ErrNotAllowed = errors.New("not allowed")
	// ErrDenied says that the identity may not do this.
	ErrDenied = errors.New("permission denied")
	// ErrSpecialUse says that a special use is unknown, or taken by another mailbox.
	ErrSpecialUse = errors.New("special use not possible")
	// ErrLimit says that a limit of the store is reached.
	ErrLimit = errors.New("limit reached")
	// ErrTooLarge says that a message exceeds the size limit.
	ErrTooLarge = errors.New("message too large")
	// ErrUnavailable says that nothing can be written now, or that it is not known whether it was.
	ErrUnavailable = errors.New("store is not available for writing")
	// ErrNotPrimary says that the node that was to decide on a write is not the shard's primary, and that nothing was done. It comes with
	// ErrUnavailable.
	ErrNotPrimary = errors.New("not the primary of the shard")
	// ErrNumbers says that the UIDs or the UIDVALIDITY of another store do not fit a mailbox. Nothing was done.
	ErrNumbers = errors.New("numbers do not fit the mailbox")
	// ErrDamaged says that what was asked for is damaged on disk.
	ErrDamaged = errors.New("message is damaged on disk")
)
