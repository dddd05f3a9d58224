package address

import (
	"strings"

	"angarium/internal/auth"
	"angarium/mailstore"
)

// postmaster is the recipient that every site has (RFC 5321, section 4.5.1).
const postmaster = "postmaster"

// Resolver finds the account and the mailbox of a recipient. The zero value knows no default domain and no details.
type Resolver struct {
	// DefaultDomain is the domain of recipients that have none; see auth.CanonicalName.
	DefaultDomain string
	// Delimiter stands between user and detail, as the + in user+detail@domain (RFC 5233). Empty: there are no details.
	Delimiter string
	// Postmaster is the account that gets the mail for postmaster, of any domain and of none. Empty: the account postmaster.
	Postmaster string
}

// Resolve gives the account of an address in its canonical spelling, and the mailbox that the detail names, as it is but for
// mailstore.CleanName; empty when there is no detail, or when no mailbox can have this name. The detail begins after the first
// delimiter; a delimiter that comes first is part of the user. Whether the account exists is not asked.
//
// The error, which wraps auth.ErrBadName, says that no account can have this name.
func (r Resolver) Resolve(m Mailbox) (mailstore.Recipient, error) {
	user, detail := m.Local, ""
	if r.Delimiter != "" {
		if at := strings.Index(m.Local, r.Delimiter); at > 0 {
			user, detail = m.Local[:at], m.Local[at+len(r.Delimiter):]
		}
	}
	name := user
	if m.Domain != "" {
		name += "@" + m.Domain
	}
	if r.Postmaster != "" && strings.EqualFold(user, postmaster) {
		name = r.Postmaster
	}
	account, err := auth.CanonicalName(name, r.DefaultDomain)
	if err != nil {
		return mailstore.Recipient{}, err
	}
	to := mailstore.Recipient{Account: account}
	if detail != "" {
		if clean, err := mailstore.CleanName(detail); err == nil {
			to.Mailbox = clean
		}
	}
	return to, nil
}
