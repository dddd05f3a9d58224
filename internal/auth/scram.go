package auth

import (
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// newScram begins a SCRAM-SHA-256 conversation (RFC 5802, RFC 7677) without channel binding: the gs2 flags "n" and "y" are
// accepted, as no -PLUS mechanism is offered that "y" could have been talked out of.
func (a *attempt) newScram() (step, error) {
	server, err := scram.SHA256.NewServer(a.scramCredentials)
	if err != nil {
		return nil, fmt.Errorf("begin SCRAM: %w", err)
	}
	a.conversation = server.NewConversation()
	return a.scramFirst, nil
}

// scramCredentials looks up the name in the client's first message. A failure to tell is kept for scramFirst, which must not
// take it for a syntax error.
func (a *attempt) scramCredentials(name string) (scram.StoredCredentials, error) {
	found, err := a.auth.find(a.ctx, a.remote, name)
	if err != nil {
		return scram.StoredCredentials{}, &lookupError{err}
	}
	a.subject = found
	return found.account.Verifier.scramCredentials(), nil
}

// scramFirst takes the client-first-message and answers with the server-first-message.
func (a *attempt) scramFirst(response []byte) ([]byte, step, error) {
	if response == nil {
		return []byte{}, a.scramFirst, nil
	}
	if !validText(response) {
		return nil, nil, fmt.Errorf("%w: SCRAM: not text", ErrMalformed)
	}
	serverFirst, err := a.conversation.Step(string(response))
	if failed, ok := errors.AsType[*lookupError](err); ok {
		return nil, nil, failed.err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: SCRAM: client-first-message", ErrMalformed)
	}
	return []byte(serverFirst), a.scramFinal, nil
}

// scramFinal takes the client's proof and answers with the server's. The library's errors are not passed on: they quote what
// the client sent.
func (a *attempt) scramFinal(response []byte) ([]byte, step, error) {
	serverFinal, err := a.conversation.Step(string(response))
	if err != nil && serverFinal != scram.ErrInvalidProof {
		return nil, nil, fmt.Errorf("%w: SCRAM: client-final-message", ErrMalformed)
	}
	valid := err == nil && a.conversation.Valid()
	identity, err := a.auth.conclude(a.ctx, a.remote, a.subject, a.conversation.AuthzID(), valid)
	if err != nil {
		return nil, nil, err
	}
	acknowledge := func(response []byte) ([]byte, step, error) {
		if len(response) != 0 {
			return nil, nil, fmt.Errorf("%w: SCRAM: a response after the end", ErrMalformed)
		}
		a.server.identity = identity
		return nil, nil, nil
	}
	return []byte(serverFinal), acknowledge, nil
}

// lookupError carries the outcome of a lookup through the library, which returns it as it is.
type lookupError struct{ err error }

// Error implements error.
func (e *lookupError) Error() string { return e.err.Error() }
