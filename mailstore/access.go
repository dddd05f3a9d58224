package mailstore

import "fmt"

// Identity is who acts, and from where. It goes into the log with every event.
type Identity struct {
	Account string `cbor:"1,keyasint,omitempty"` // canonical name of the account that is logged in; "" for the system itself
	Service string `cbor:"2,keyasint,omitempty"` // "imap", "lmtp", "syncctl", "salvage", "system"
	Session string `cbor:"3,keyasint,omitempty"` // id of the session
	Client  string `cbor:"4,keyasint,omitempty"` // network address
	Admin   bool   `cbor:"5,keyasint,omitempty"` // may act on every account
}

// may checks that an identity may act on an account's mail. All methods of Store ask here.
func (id Identity) may(account string) error {
	if id.Admin || (id.Account != "" && id.Account == account) {
		return nil
	}
	return fmt.Errorf("%w: %q on the mail of %q", ErrDenied, id.Account, account)
}

// mayAdminister checks that an identity may manage accounts.
func (id Identity) mayAdminister() error {
	if id.Admin {
		return nil
	}
	return fmt.Errorf("%w: %q may not manage accounts", ErrDenied, id.Account)
}
