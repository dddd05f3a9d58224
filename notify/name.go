package notify

import (
	"fmt"
	"slices"
	"strings"
)

// Name is the name of an event: of RFC 5423 where it has one, else of Cyrus IMAP ("vnd.cmu."), else ours ("vnd.angarium.").
type Name string

// The events that the log gives rise to, and those of sessions (Login, Logout).
const (
	MessageNew         Name = "MessageNew"
	MessageAppend      Name = "MessageAppend"
	MessageCopy        Name = "vnd.cmu.MessageCopy"
	MessageMove        Name = "vnd.cmu.MessageMove"
	MessageExpunge     Name = "MessageExpunge"
	MessageExpire      Name = "MessageExpire"
	MessageRead        Name = "MessageRead"
	MessageTrash       Name = "MessageTrash"
	FlagsSet           Name = "FlagsSet"
	FlagsClear         Name = "FlagsClear"
	MailboxCreate      Name = "MailboxCreate"
	MailboxDelete      Name = "MailboxDelete"
	MailboxRename      Name = "MailboxRename"
	MailboxSubscribe   Name = "MailboxSubscribe"
	MailboxUnSubscribe Name = "MailboxUnSubscribe"
	AccountDelete      Name = "vnd.angarium.AccountDelete"
	Login              Name = "Login"
	Logout             Name = "Logout"
)

// Group is a set of events that are switched on together, named as in Cyrus's event_groups.
type Group string

// The groups. GroupQuota has no events yet: its name is accepted so that a configuration of Cyrus can be taken over.
const (
	GroupMessage      Group = "message"
	GroupFlags        Group = "flags"
	GroupMailbox      Group = "mailbox"
	GroupSubscription Group = "subscription"
	GroupAccess       Group = "access"
	GroupQuota        Group = "quota"
)

// Names lists every event, in the order of the documentation.
func Names() []Name {
	return []Name{
		MessageNew, MessageAppend, MessageCopy, MessageMove, MessageExpunge, MessageExpire,
		MessageRead, MessageTrash, FlagsSet, FlagsClear,
		MailboxCreate, MailboxDelete, MailboxRename, AccountDelete,
		MailboxSubscribe, MailboxUnSubscribe, Login, Logout,
	}
}

// Groups lists every group.
func Groups() []Group {
	return []Group{GroupMessage, GroupFlags, GroupMailbox, GroupSubscription, GroupAccess, GroupQuota}
}

// Group gives the group of an event; "" for a name that is none.
func (n Name) Group() Group {
	switch n {
	case MessageNew, MessageAppend, MessageCopy, MessageMove, MessageExpunge, MessageExpire:
		return GroupMessage
	case MessageRead, MessageTrash, FlagsSet, FlagsClear:
		return GroupFlags
	case MailboxCreate, MailboxDelete, MailboxRename, AccountDelete:
		return GroupMailbox
	case MailboxSubscribe, MailboxUnSubscribe:
		return GroupSubscription
	case Login, Logout:
		return GroupAccess
	}
	return ""
}

// Token is the event's name as one token of a NATS subject: what follows the last "." of it.
func (n Name) Token() string { return string(n[strings.LastIndexByte(string(n), '.')+1:]) }

// ParseName finds an event by its name or its token, without regard to case.
func ParseName(s string) (Name, error) {
	for _, n := range Names() {
		if strings.EqualFold(s, string(n)) || strings.EqualFold(s, n.Token()) {
			return n, nil
		}
	}
	return "", fmt.Errorf("unknown event %q", s)
}

// ParseGroup finds a group by its name, without regard to case.
func ParseGroup(s string) (Group, error) {
	if g := Group(strings.ToLower(s)); slices.Contains(Groups(), g) {
		return g, nil
	}
	return "", fmt.Errorf("unknown event group %q", s)
}
