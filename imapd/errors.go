package imapd

import (
	"errors"
	"fmt"

	"angarium/imapd/wire"
	"angarium/internal/auth"
	"angarium/mailstore"
)

// statusError is an error that says what the tagged reply is to be.
type statusError struct {
	cond string // "NO" or "BAD"
	code string // response code without brackets, "" for none (RFC 5530)
	text string
}

func (e *statusError) Error() string { return e.cond + " [" + e.code + "] " + e.text }

// no makes the error for a tagged NO.
func (s *session) no(code, text string) error { return &statusError{"NO", code, text} }

// bad makes the error for a tagged BAD.
func (s *session) bad(text string) error { return &statusError{"BAD", "", text} }

// How a command can end other than by a tagged reply of the dispatcher.
var (
	// errReplied: the handler has sent the tagged reply itself.
	errReplied = errors.New("the reply was sent")
	// errBye: the handler has sent BYE and the tagged reply; the connection is to be closed.
	errBye = errors.New("the session ended")
)

// closing says that the connection ends, and what the BYE tells the client.
type closing struct {
	code, text string
	err        error // what is behind it; may be nil
}

func (e *closing) Error() string {
	if e.err == nil {
		return e.text
	}
	return e.text + ": " + e.err.Error()
}

func (e *closing) Unwrap() error { return e.err }

func errShutdown() error   { return &closing{"UNAVAILABLE", "The server is shutting down", nil} }
func errOusted() error     { return &closing{"", "The account was changed; log in again", nil} }
func errAutologout() error { return &closing{"", "Autologout; idle for too long", nil} }

// tryCreate turns the error for a missing mailbox into the one that APPEND, COPY and MOVE give for their destination (RFC 9051,
// section 7.1).
func (s *session) tryCreate(err error) error {
	if errors.Is(err, mailstore.ErrNoMailbox) {
		return s.no("TRYCREATE", "There is no such mailbox")
	}
	return err
}

// statusOf says which tagged reply an error is. ok is false for an error that is not the client's doing: the connection's, or a failure
// to be logged, for which the status is given all the same.
func statusOf(err error) (st *statusError, ok bool) {
	if errors.As(err, &st) {
		return st, true
	}
	var limit *wire.LimitError
	var name *wire.NameError
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &limit) && limit.Kind == wire.LimitLiteralSize:
		return &statusError{"NO", "TOOBIG", fmt.Sprintf("The literal is larger than %d bytes", limit.Max)}, true
	case errors.As(err, &limit):
		return &statusError{"BAD", "LIMIT", fmt.Sprintf("Too much: %s, at most %d", limit.Kind, limit.Max)}, true
	case errors.As(err, &name):
		return &statusError{"NO", "CANNOT", "Invalid mailbox name: " + name.Msg}, true
	case errors.As(err, &syntax):
		return &statusError{"BAD", "", fmt.Sprintf("Syntax error at octet %d: %s", syntax.Pos, syntax.Msg)}, true
	}
	for _, m := range storeStatus {
		if errors.Is(err, m.err) {
			return &statusError{"NO", m.code, m.text}, !m.log
		}
	}
	return &statusError{"NO", "SERVERBUG", "Internal error; it was logged"}, false
}

// storeStatus is what the errors of mailstore become. The order matters for errors that wrap several.
var storeStatus = [...]struct {
	err        error
	code, text string
	log        bool // is worth the operator's attention
}{
	{mailstore.ErrNoAccount, "CONTACTADMIN", "The account does not exist any more", false},
	{mailstore.ErrNoMailbox, "NONEXISTENT", "There is no such mailbox", false},
	{mailstore.ErrMailboxExists, "ALREADYEXISTS", "There is such a mailbox already", false},
	{mailstore.ErrDenied, "NOPERM", "Permission denied", false},
	{mailstore.ErrName, "CANNOT", "A mailbox cannot have this name", false},
	{mailstore.ErrNotAllowed, "CANNOT", "This cannot be done", false},
	{mailstore.ErrSpecialUse, "USEATTR", "The special use is unknown, or taken by another mailbox", false},
	{mailstore.ErrLimit, "LIMIT", "A limit of the server is reached", false},
	{mailstore.ErrTooLarge, "TOOBIG", "The message is too large", false},
	{mailstore.ErrUnavailable, "UNAVAILABLE", "The mail store cannot be written to now; try again later", true},
	{mailstore.ErrDamaged, "CORRUPTION", "The message is damaged on disk", true}, // RFC 5530: CORRUPTION
}

// loginStatus says what a failed login is told (RFC 5530), and under which name it is counted.
func loginStatus(err error) (st *statusError, result string) {
	var throttled *auth.ThrottledError
	switch {
	case errors.As(err, &throttled):
		text := fmt.Sprintf("Too many failed logins; try again in %.0f seconds", throttled.RetryAfter.Seconds())
		return &statusError{"NO", "LIMIT", text}, "throttled"
	case errors.Is(err, auth.ErrCredentials):
		return &statusError{"NO", "AUTHENTICATIONFAILED", "Wrong name or password"}, "credentials"
	case errors.Is(err, auth.ErrDisabled):
		return &statusError{"NO", "CONTACTADMIN", "The account is disabled"}, "disabled"
	case errors.Is(err, auth.ErrNotAuthorized):
		return &statusError{"NO", "AUTHORIZATIONFAILED", "Not allowed to act as another account"}, "denied"
	case errors.Is(err, auth.ErrMalformed):
		return &statusError{"BAD", "", "Malformed authentication exchange"}, "malformed"
	case errors.Is(err, auth.ErrUnknownMechanism):
		return &statusError{"NO", "CANNOT", "Unsupported authentication mechanism"}, "malformed"
	}
	return &statusError{"NO", "UNAVAILABLE", "Authentication is temporarily unavailable"}, "unavailable"
}
