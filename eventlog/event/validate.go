package event

import (
	"bytes"
	"errors"
	"fmt"
)

// Validate says what is wrong with an event's shape, without any state: what passes can be applied or refused by the state
// machine, never misread.
func Validate(ev Event) error {
	switch e := ev.(type) {
	case *EpochStarted:
		return check(e.Epoch > 0, "no epoch")
	case *Checkpoint:
		return nil
	case *BodiesDropped:
		return validateDropped(e)
	case *AccountCreated:
		return errors.Join(account(e.Account), credential(e.Credential))
	case *CredentialSet:
		return errors.Join(account(e.Account), credential(e.Credential))
	case *AccountDisabled:
		return account(e.Account)
	case *AccountDeleted:
		return account(e.Account)
	case *NumbersSkipped:
		return errors.Join(account(e.Account), modseq(e.Modseq), check(e.Epoch > 0, "no epoch"))
	case *MailboxCreated:
		return errors.Join(account(e.Account), name(e.Name), mailbox(e.Mailbox), modseq(e.Modseq), check(e.UIDValidity > 0, "no UIDVALIDITY"))
	case *MailboxRenamed:
		return validateRename(e)
	case *MailboxDeleted:
		return errors.Join(account(e.Account), mailbox(e.Mailbox), modseq(e.Modseq))
	case *SubscriptionSet:
		return errors.Join(account(e.Account), name(e.Name), modseq(e.Modseq))
	case *SpecialUseSet:
		return errors.Join(account(e.Account), mailbox(e.Mailbox), modseq(e.Modseq))
	case *RecentTaken:
		return errors.Join(account(e.Account), mailbox(e.Mailbox), check(e.UID > 0, "no UID"))
	case *BodyChunk:
		return validateChunk(e)
	case *MessagesAppended:
		return validateAppend(e)
	case *MessagesCopied:
		return validateTransfer(e.Account, e.Source, e.Dest, e.SourceUIDs, e.FirstUID, e.Modseq)
	case *MessagesMoved:
		return validateTransfer(e.Account, e.Source, e.Dest, e.SourceUIDs, e.FirstUID, e.Modseq)
	case *FlagsChanged:
		return validateFlags(e)
	case *MessagesExpunged:
		return errors.Join(account(e.Account), mailbox(e.Mailbox), modseq(e.Modseq), e.UIDs.Validate())
	}
	return fmt.Errorf("event of unknown type %T", ev)
}

func check(ok bool, problem string) error {
	if ok {
		return nil
	}
	return errors.New(problem)
}

func account(s string) error     { return check(s != "", "no account") }
func name(s string) error        { return check(s != "", "no mailbox name") }
func mailbox(id MailboxID) error { return check(!id.IsZero(), "no mailbox id") }
func modseq(m uint64) error      { return check(m > 0 && m < 1<<63, "modseq out of range") } // RFC 7162: 63 bits
func credential(c Credential) error {
	return check(c.Iterations > 0 && len(c.Salt) > 0 && len(c.StoredKey) == 32 && len(c.ServerKey) == 32, "malformed credential")
}

func validateRename(e *MailboxRenamed) error {
	errs := []error{account(e.Account), modseq(e.Modseq), check(len(e.Renames) > 0, "no renames")}
	for _, r := range e.Renames {
		errs = append(errs, mailbox(r.Mailbox), name(r.Name))
	}
	return errors.Join(errs...)
}

func validateChunk(e *BodyChunk) error {
	if e.Encoding > S2 {
		return fmt.Errorf("unknown body encoding %d: %w", e.Encoding, ErrNewer)
	}
	end := e.Offset + uint64(len(e.Data))
	return errors.Join(
		check(end >= e.Offset && end <= e.Stored, "chunk reaches beyond its body"),
		check(len(e.Data) > 0 || e.Stored == 0, "empty chunk"),
		check(e.Encoding != Raw || e.Stored == e.Size, "sizes of a raw body differ"),
		check((end == e.Stored) == (len(e.Structure) > 0), "the structure belongs to the last chunk"),
	)
}

func validateDropped(e *BodiesDropped) error {
	errs := []error{check(len(e.GUIDs) > 0, "no bodies"), check(len(e.GUIDs) <= MaxDropped, "too many bodies")}
	for i := 1; i < len(e.GUIDs); i++ {
		errs = append(errs, check(bytes.Compare(e.GUIDs[i-1][:], e.GUIDs[i][:]) < 0, "GUIDs not ascending"))
	}
	return errors.Join(errs...)
}

func validateAppend(e *MessagesAppended) error {
	errs := []error{account(e.Account), mailbox(e.Mailbox), modseq(e.Modseq), check(len(e.Messages) > 0 || e.UIDNext > 0, "no messages")}
	last := uint32(0)
	for _, m := range e.Messages {
		errs = append(errs, check(m.UID > last, "UIDs not ascending"), flags(m.Flags))
		last = m.UID
	}
	errs = append(errs, check(e.UIDNext == 0 || e.UIDNext > last, "UIDNEXT among the UIDs"))
	return errors.Join(errs...)
}

func validateTransfer(acct string, source, dest MailboxID, uids UIDSet, first uint32, ms uint64) error {
	err := errors.Join(account(acct), mailbox(source), mailbox(dest), modseq(ms), uids.Validate(), check(first > 0, "no UID"))
	if err != nil {
		return err
	}
	return check(uint64(first)+uint64(uids.Len()) <= 1<<32, "UIDs exhausted")
}

func validateFlags(e *FlagsChanged) error {
	errs := []error{account(e.Account), mailbox(e.Mailbox), modseq(e.Modseq), check(len(e.Changes) > 0, "no changes")}
	for _, c := range e.Changes {
		errs = append(errs, c.UIDs.Validate(), flags(c.Add), flags(c.Remove), check(len(c.Add)+len(c.Remove) > 0, "change without flags"))
	}
	return errors.Join(errs...)
}

func flags(list []string) error {
	for _, f := range list {
		if f == "" || f == "\\" {
			return errors.New("empty flag")
		}
	}
	return nil
}
