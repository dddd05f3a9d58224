package event

import "strconv"

// Kind implements Event.
func (*EpochStarted) Kind() Kind { return KindEpochStarted }

// Kind implements Event.
func (*Checkpoint) Kind() Kind { return KindCheckpoint }

// Kind implements Event.
func (*BodiesDropped) Kind() Kind { return KindBodiesDropped }

// Kind implements Event.
func (*AccountCreated) Kind() Kind { return KindAccountCreated }

// Kind implements Event.
func (*CredentialSet) Kind() Kind { return KindCredentialSet }

// Kind implements Event.
func (*AccountDisabled) Kind() Kind { return KindAccountDisabled }

// Kind implements Event.
func (*AccountDeleted) Kind() Kind { return KindAccountDeleted }

// Kind implements Event.
func (*NumbersSkipped) Kind() Kind { return KindNumbersSkipped }

// Kind implements Event.
func (*MailboxCreated) Kind() Kind { return KindMailboxCreated }

// Kind implements Event.
func (*MailboxRenamed) Kind() Kind { return KindMailboxRenamed }

// Kind implements Event.
func (*MailboxDeleted) Kind() Kind { return KindMailboxDeleted }

// Kind implements Event.
func (*SubscriptionSet) Kind() Kind { return KindSubscriptionSet }

// Kind implements Event.
func (*SpecialUseSet) Kind() Kind { return KindSpecialUseSet }

// Kind implements Event.
func (*RecentTaken) Kind() Kind { return KindRecentTaken }

// Kind implements Event.
func (*BodyChunk) Kind() Kind { return KindBodyChunk }

// Kind implements Event.
func (*MessagesAppended) Kind() Kind { return KindMessagesAppended }

// Kind implements Event.
func (*MessagesCopied) Kind() Kind { return KindMessagesCopied }

// Kind implements Event.
func (*MessagesMoved) Kind() Kind { return KindMessagesMoved }

// Kind implements Event.
func (*FlagsChanged) Kind() Kind { return KindFlagsChanged }

// Kind implements Event.
func (*MessagesExpunged) Kind() Kind { return KindMessagesExpunged }

// AccountName implements Event.
func (*EpochStarted) AccountName() string { return "" }

// AccountName implements Event.
func (*Checkpoint) AccountName() string { return "" }

// AccountName implements Event.
func (*BodiesDropped) AccountName() string { return "" }

// AccountName implements Event.
func (e *AccountCreated) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *CredentialSet) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *AccountDisabled) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *AccountDeleted) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *NumbersSkipped) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MailboxCreated) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MailboxRenamed) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MailboxDeleted) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *SubscriptionSet) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *SpecialUseSet) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *RecentTaken) AccountName() string { return e.Account }

// AccountName implements Event.
func (*BodyChunk) AccountName() string { return "" }

// AccountName implements Event.
func (e *MessagesAppended) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MessagesCopied) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MessagesMoved) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *FlagsChanged) AccountName() string { return e.Account }

// AccountName implements Event.
func (e *MessagesExpunged) AccountName() string { return e.Account }

func (*EpochStarted) isEvent()     {}
func (*Checkpoint) isEvent()       {}
func (*BodiesDropped) isEvent()    {}
func (*AccountCreated) isEvent()   {}
func (*CredentialSet) isEvent()    {}
func (*AccountDisabled) isEvent()  {}
func (*AccountDeleted) isEvent()   {}
func (*NumbersSkipped) isEvent()   {}
func (*MailboxCreated) isEvent()   {}
func (*MailboxRenamed) isEvent()   {}
func (*MailboxDeleted) isEvent()   {}
func (*SubscriptionSet) isEvent()  {}
func (*SpecialUseSet) isEvent()    {}
func (*RecentTaken) isEvent()      {}
func (*BodyChunk) isEvent()        {}
func (*MessagesAppended) isEvent() {}
func (*MessagesCopied) isEvent()   {}
func (*MessagesMoved) isEvent()    {}
func (*FlagsChanged) isEvent()     {}
func (*MessagesExpunged) isEvent() {}

// newEvent makes an empty event of a kind; nil for a kind that this program does not know.
func newEvent(k Kind) Event {
	switch k {
	case KindEpochStarted:
		return new(EpochStarted)
	case KindCheckpoint:
		return new(Checkpoint)
	case KindBodiesDropped:
		return new(BodiesDropped)
	case KindAccountCreated:
		return new(AccountCreated)
	case KindCredentialSet:
		return new(CredentialSet)
	case KindAccountDisabled:
		return new(AccountDisabled)
	case KindAccountDeleted:
		return new(AccountDeleted)
	case KindNumbersSkipped:
		return new(NumbersSkipped)
	case KindMailboxCreated:
		return new(MailboxCreated)
	case KindMailboxRenamed:
		return new(MailboxRenamed)
	case KindMailboxDeleted:
		return new(MailboxDeleted)
	case KindSubscriptionSet:
		return new(SubscriptionSet)
	case KindSpecialUseSet:
		return new(SpecialUseSet)
	case KindRecentTaken:
		return new(RecentTaken)
	case KindBodyChunk:
		return new(BodyChunk)
	case KindMessagesAppended:
		return new(MessagesAppended)
	case KindMessagesCopied:
		return new(MessagesCopied)
	case KindMessagesMoved:
		return new(MessagesMoved)
	case KindFlagsChanged:
		return new(FlagsChanged)
	case KindMessagesExpunged:
		return new(MessagesExpunged)
	}
	return nil
}

// Kinds lists every kind in ascending order.
func Kinds() []Kind {
	return []Kind{
		KindEpochStarted,
		KindCheckpoint,
		KindBodiesDropped,
		KindAccountCreated,
		KindCredentialSet,
		KindAccountDisabled,
		KindAccountDeleted,
		KindNumbersSkipped,
		KindMailboxCreated,
		KindMailboxRenamed,
		KindMailboxDeleted,
		KindSubscriptionSet,
		KindSpecialUseSet,
		KindRecentTaken,
		KindBodyChunk,
		KindMessagesAppended,
		KindMessagesCopied,
		KindMessagesMoved,
		KindFlagsChanged,
		KindMessagesExpunged,
	}
}

// String names the kind as its Go type.
func (k Kind) String() string {
	switch k {
	case KindEpochStarted:
		return "EpochStarted"
	case KindCheckpoint:
		return "Checkpoint"
	case KindBodiesDropped:
		return "BodiesDropped"
	case KindAccountCreated:
		return "AccountCreated"
	case KindCredentialSet:
		return "CredentialSet"
	case KindAccountDisabled:
		return "AccountDisabled"
	case KindAccountDeleted:
		return "AccountDeleted"
	case KindNumbersSkipped:
		return "NumbersSkipped"
	case KindMailboxCreated:
		return "MailboxCreated"
	case KindMailboxRenamed:
		return "MailboxRenamed"
	case KindMailboxDeleted:
		return "MailboxDeleted"
	case KindSubscriptionSet:
		return "SubscriptionSet"
	case KindSpecialUseSet:
		return "SpecialUseSet"
	case KindRecentTaken:
		return "RecentTaken"
	case KindBodyChunk:
		return "BodyChunk"
	case KindMessagesAppended:
		return "MessagesAppended"
	case KindMessagesCopied:
		return "MessagesCopied"
	case KindMessagesMoved:
		return "MessagesMoved"
	case KindFlagsChanged:
		return "FlagsChanged"
	case KindMessagesExpunged:
		return "MessagesExpunged"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}
