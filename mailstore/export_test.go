package mailstore

import (
	"angarium/eventlog/event"
	"github.com/fxamacker/cbor/v2"
	"maps"
	"slices"
)

// Ops lists the names of the writes that are forwarded.
func Ops() []string { return slices.Sorted(maps.Keys(handlers())) }

// Across gives an error as another node gets it.
func Across(err error) error {
	b, encErr := wireEnc.Marshal(reply[nothing]{Failure: failureOf(err)})
	if encErr != nil {
		return encErr
	}
	var r reply[nothing]
	if err := wireDec.Unmarshal(b, &r); err != nil {
		return err
	}
	return r.Failure.err()
}

// Request encodes a forwarded write with a body and one recipient.
func Request(id Identity, b *Body, account string) ([]byte, error) {
	return wireEnc.Marshal(frame[deliverRequest]{id, deliverRequest{b, []Recipient{{Account: account}}}})
}

// ExpungeRequest encodes a forwarded expunge of all of a mailbox.
func ExpungeRequest(id Identity, account string, box event.MailboxID) ([]byte, error) {
	uids := event.UIDSet{{First: 1, Last: lastUID}}
	return wireEnc.Marshal(frame[expungeRequest]{id, expungeRequest{target: target{onMail{account}, box}, UIDs: uids}})
}

// AnswerError gives the error in an answer of Serve.
func AnswerError(resp []byte) error {
	var r reply[cbor.RawMessage]
	if err := wireDec.Unmarshal(resp, &r); err != nil {
		return err
	}
	return r.Failure.err()
}
