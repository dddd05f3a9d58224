package jslog

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"angarium/eventlog"
)

// The server's error codes that mean something for an append (nats-server, server/errors.json).
const (
	codeAccountResources  = 10002
	codeInsufficient      = 10023
	codeStorageResources  = 10047
	codeMessageTooLarge   = 10054
	codeStreamNotMatch    = 10060
	codeWrongLastMsgID    = 10070
	codeWrongLastSequence = 10071
	codeStoreFailed       = 10077
	codeSequenceInFlight  = 10164
	codeNoMessage         = 10037
)

// sending is for an append that could not be handed over: nothing was sent.
func sending(err error) error { return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err) }

// appending is for the answer to an append. An API error is the server's word that nothing was stored; without one the outcome
// is unknown.
func appending(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%w: %w", eventlog.ErrUnknown, err)
	}
	switch api.ErrorCode {
	case codeWrongLastSequence, codeSequenceInFlight, codeWrongLastMsgID:
		return fmt.Errorf("%w: %w", eventlog.ErrFenced, err)
	case codeAccountResources, codeInsufficient, codeStorageResources, codeStoreFailed:
		return fmt.Errorf("%w: %w", eventlog.ErrNoSpace, err)
	case codeMessageTooLarge:
		return fmt.Errorf("%w: %w", eventlog.ErrTooLarge, err)
	case codeStreamNotMatch:
		return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", eventlog.ErrUnknown, err)
}

// reading is for calls that change nothing.
func reading(ctx context.Context, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrMsgNotFound), errors.As(err, &api) && api.ErrorCode == codeNoMessage:
		return eventlog.ErrNotFound
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: %w", ErrMissing, err)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("%w: %w", eventlog.ErrClosed, err)
	}
	return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
}
