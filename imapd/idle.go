package imapd

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"angarium/imapd/wire"
)

// maxDoneBytes bounds the line that ends IDLE.
const maxDoneBytes = 64

// handleIdle tells of changes as they happen until the client says DONE (RFC 2177). Between them it waits without a buffer: for the
// client's octets itself, and for changes of the mailbox by a goroutine that interrupts the wait.
func handleIdle(s *session, ctx context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	if err := s.ending(); err != nil {
		return reply{}, err
	}
	s.enc.Continuation("idling")
	stop := s.interruptOnChange()
	defer stop()
	deadline := time.Now().Add(s.srv.opts.Limits.Autologout)
	for {
		if err := s.tellNews(ctx); err != nil {
			return reply{}, err
		}
		if err := s.writeUpdates(ctx, true); err != nil {
			return reply{}, err
		}
		err := s.r.WaitInput(deadline)
		switch {
		case err == nil:
			return s.endIdle()
		case errors.Is(err, wire.ErrInterrupted): // there is news, or it is time to go
			if err := s.ending(); err != nil {
				return reply{}, err
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return reply{}, errAutologout()
		default:
			return reply{}, err
		}
	}
}

func (s *session) endIdle() (reply, error) {
	line, err := s.r.ReadLine(maxDoneBytes)
	if err != nil {
		return reply{}, err
	}
	if !strings.EqualFold(line, "DONE") {
		return reply{}, s.bad("Expected DONE")
	}
	return reply{text: "Idle completed"}, nil
}

// interruptOnChange wakes the reader whenever the selected mailbox has changed, until stop. What NOTIFY watches wakes it already.
func (s *session) interruptOnChange() (stop func()) {
	if s.box == nil || s.stopWaking != nil {
		return func() {}
	}
	return s.interruptOn(s.box.changed(), nil)
}

// interruptOn wakes the reader whenever one of two channels gives a value, until stop, which waits for the end of that.
func (s *session) interruptOn(box, account <-chan struct{}) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-box:
				s.r.Interrupt()
			case <-account:
				s.r.Interrupt()
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
