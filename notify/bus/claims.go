package bus

import (
	"fmt"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"angarium/notify"
)

// StreamName is the stream that the events are in: one with all, and one in the NATS account of each mail account that has consumers of its own.
const StreamName = "MAIL_NOTIFY"

// Subjects by which the stream of a mail account is fed from the large one.
const (
	sourceAPI     = "notify.api"     // in the NATS account of a mail account: stands for $JS.API in the main one
	sourceDeliver = "notify.deliver" // in both, followed by the account token
)

// allEvents is the subject of everything that is in the stream.
const allEvents = notify.SubjectPrefix + ".>"

// eventsOf is the subject of the events of a mail account, of all when account is "".
func eventsOf(prefix, account string) string {
	if account == "" {
		return prefix + ".>"
	}
	return prefix + "." + notify.AccountToken(account) + ".>"
}

// userPermissions are what a consumer may do in the NATS account of a mail account, or in the main one when account is "": read the stream by any
// consumer, and listen to sessions.
func userPermissions(account string) jwt.Permissions {
	var p jwt.Permissions
	p.Pub.Allow = jwt.StringList{
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST",
		"$JS.API.STREAM.INFO." + StreamName, "$JS.API.STREAM.MSG.GET." + StreamName,
		"$JS.API.DIRECT.GET." + StreamName, "$JS.API.DIRECT.GET." + StreamName + ".>",
		"$JS.API.CONSUMER.CREATE." + StreamName, "$JS.API.CONSUMER.CREATE." + StreamName + ".>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + StreamName + ".*",
		"$JS.API.CONSUMER.NAMES." + StreamName, "$JS.API.CONSUMER.LIST." + StreamName,
		"$JS.API.CONSUMER.INFO." + StreamName + ".*", "$JS.API.CONSUMER.DELETE." + StreamName + ".*",
		"$JS.API.CONSUMER.MSG.NEXT." + StreamName + ".*", "$JS.API.CONSUMER.PAUSE." + StreamName + ".*",
		"$JS.API.CONSUMER.UNPIN." + StreamName + ".*", "$JS.API.CONSUMER.RESET." + StreamName + ".*",
		"$JS.ACK." + StreamName + ".>", "$JS.FC." + StreamName + ".>",
	}
	p.Sub.Allow = jwt.StringList{"_INBOX.>", eventsOf(notify.SessionSubjectPrefix, account)}
	if account == "" {
		p.Sub.Allow.Add(allEvents)
	}
	return p
}

// newUser makes a user of the NATS account that seed signs for: his token, seed and public key.
func newUser(accountSeed, name string, p jwt.Permissions) (token, seed, key string, err error) {
	signer, _, err := pairOf(accountSeed)
	if err != nil {
		return "", "", "", err
	}
	if seed, err = newSeed(nkeys.CreateUser); err != nil {
		return "", "", "", err
	}
	if _, key, err = pairOf(seed); err != nil {
		return "", "", "", err
	}
	claims := jwt.NewUserClaims(key)
	claims.Name = name
	claims.Permissions = p
	token, err = claims.Encode(signer)
	return token, seed, key, err
}

// operatorClaims say whom the server believes.
func (f *keyFile) operatorClaims() (*jwt.OperatorClaims, error) {
	pair, public, err := pairOf(f.Operator)
	if err != nil {
		return nil, fmt.Errorf("operator key: %w", err)
	}
	_, system, err := pairOf(f.System)
	if err != nil {
		return nil, fmt.Errorf("system key: %w", err)
	}
	c := jwt.NewOperatorClaims(public)
	c.Name, c.SystemAccount = "angarium", system
	token, err := c.Encode(pair)
	if err != nil {
		return nil, fmt.Errorf("operator claims: %w", err)
	}
	return jwt.DecodeOperatorClaims(token)
}

// systemClaims are those of the account that the server itself uses.
func (f *keyFile) systemClaims() (string, error) {
	_, public, err := pairOf(f.System)
	if err != nil {
		return "", fmt.Errorf("system key: %w", err)
	}
	c := jwt.NewAccountClaims(public)
	c.Name = "SYS"
	return f.sign(c)
}

// accountClaims are those of the NATS account of a mail account, of the main one when account is "".
func (f *keyFile) accountClaims(account string) (string, error) {
	seed := f.Main
	if account != "" {
		seed = f.Accounts[account]
	}
	_, public, err := pairOf(seed)
	if err != nil {
		return "", fmt.Errorf("key of account %q: %w", account, err)
	}
	c := jwt.NewAccountClaims(public)
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	for key, at := range f.Revoked[account] {
		if c.Revocations == nil {
			c.Revocations = jwt.RevocationList{}
		}
		c.Revocations[key] = at
	}
	if account == "" {
		c.Name = "NOTIFY"
		c.Exports = exports()
		return f.sign(c)
	}
	_, main, err := pairOf(f.Main)
	if err != nil {
		return "", fmt.Errorf("main key: %w", err)
	}
	c.Name = "NOTIFY " + account
	c.Imports = imports(main, account)
	return f.sign(c)
}

func (f *keyFile) sign(c *jwt.AccountClaims) (string, error) {
	pair, _, err := pairOf(f.Operator)
	if err != nil {
		return "", fmt.Errorf("operator key: %w", err)
	}
	token, err := c.Encode(pair)
	if err != nil {
		return "", fmt.Errorf("claims of account %s: %w", c.Name, err)
	}
	return token, nil
}

// exports is what the main account offers to those of mail accounts, whose imports are made here too.
func exports() jwt.Exports {
	return jwt.Exports{
		{Name: "sources", Subject: "$JS.API.CONSUMER.CREATE." + StreamName + ".>", Type: jwt.Service},
		{Name: "flow control", Subject: "$JS.FC." + StreamName + ".>", Type: jwt.Service},
		{Name: "delivery", Subject: sourceDeliver + ".>", Type: jwt.Stream},
		{Name: "sessions", Subject: notify.SessionSubjectPrefix + ".>", Type: jwt.Stream},
	}
}

// imports let the stream of a mail account be fed with that account's events, and nothing else.
func imports(main, account string) jwt.Imports {
	create := "CONSUMER.CREATE." + StreamName + "."
	events := "." + eventsOf(notify.SubjectPrefix, account)
	deliver := jwt.Subject(sourceDeliver + "." + notify.AccountToken(account) + ".>")
	sessions := jwt.Subject(eventsOf(notify.SessionSubjectPrefix, account))
	return jwt.Imports{
		{
			Name: "sources", Account: main, Type: jwt.Service,
			Subject: jwt.Subject("$JS.API." + create + "*" + events), LocalSubject: jwt.RenamingSubject(sourceAPI + "." + create + "*" + events),
		},
		{Name: "flow control", Account: main, Subject: "$JS.FC." + StreamName + ".>", Type: jwt.Service},
		{Name: "delivery", Account: main, Subject: deliver, Type: jwt.Stream},
		{Name: "sessions", Account: main, Subject: sessions, Type: jwt.Stream},
	}
}
