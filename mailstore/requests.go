package mailstore

import (
	"fmt"
	"strings"
	"unicode"

	"angarium/eventlog/event"
)

// requestBytes is how many encoded bytes of bodies one forwarded write of several messages carries.
const requestBytes = 16 << 20

// nothing is the result of a write that has none.
type nothing struct{}

// onMail is the part of a request that acts on an account's mail.
type onMail struct {
	Account string `cbor:"1,keyasint"`
}

func (r onMail) shardKey() string            { return r.Account }
func (r onMail) permitted(id Identity) error { return id.may(r.Account) }
func (r onMail) valid(*Store) error          { return validAccount(r.Account) }

// onAccount is the part of a request that acts on an account as such.
type onAccount struct {
	Account string `cbor:"1,keyasint"`
}

func (r onAccount) shardKey() string            { return r.Account }
func (r onAccount) permitted(id Identity) error { return id.mayAdminister() }
func (r onAccount) valid(*Store) error          { return validAccount(r.Account) }

// target is the part of a request that acts on an open mailbox.
type target struct {
	onMail
	Mailbox event.MailboxID `cbor:"2,keyasint"`
}

func (r target) mailbox() event.MailboxID { return r.Mailbox }

// maxAccountBytes bounds the account names that are taken from another node.
const maxAccountBytes = 1000

func validAccount(name string) error {
	if name == "" || len(name) > maxAccountBytes || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%w: no account can be called %.40q", errRequest, name)
	}
	return nil
}

// validUIDs accepts an empty set too.
func validUIDs(uids event.UIDSet) error {
	if len(uids) == 0 {
		return nil
	}
	if err := uids.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errRequest, err)
	}
	return nil
}

// validName checks a mailbox name that the other node has cleaned.
func validName(name string) error {
	if clean, err := CleanName(name); err != nil || clean != name {
		return fmt.Errorf("%w: mailbox name %.40q", errRequest, name)
	}
	return nil
}
