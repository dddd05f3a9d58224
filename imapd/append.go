package imapd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"angarium/imapd/wire"
	"angarium/mailstore"
)

const (
	// stashBytes is how many bytes of messages one APPEND keeps in memory before it stores bodies ahead.
	stashBytes = 1 << 20
	// appendChunk is what is allocated for a message before its octets have come.
	appendChunk = 64 << 10
)

// upload is an APPEND under way.
type upload struct {
	s        *session
	msgs     []mailstore.NewMessage
	kept     int64 // bytes of bodies in msgs that are in memory
	reserved int64 // of Server.uploading
}

// handleAppend serves APPEND, of one message or several (RFC 9051, section 6.3.12; RFC 3502; RFC 4315). What can be known to fail fails before
// the client is asked for the octets of a message.
func handleAppend(s *session, ctx context.Context) (reply, error) {
	if err := s.r.SP(); err != nil {
		return reply{}, err
	}
	name, err := s.r.Mailbox()
	if err != nil {
		return reply{}, err
	}
	store := s.srv.opts.Store
	if _, err := store.Mailbox(ctx, s.id, s.id.Account, name); err != nil {
		return reply{}, s.tryCreate(err)
	}
	up := &upload{s: s}
	defer up.release()
	for {
		if err := up.message(); err != nil {
			return reply{}, err
		}
		end, err := s.r.AtCRLF()
		if err != nil {
			return reply{}, err
		}
		if end {
			break
		}
		if err := up.stash(ctx); err != nil {
			return reply{}, err
		}
	}
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	res, err := store.Append(ctx, s.id, s.id.Account, name, up.msgs)
	if err != nil {
		return reply{}, s.tryCreate(err)
	}
	s.ownMessages(res.Mailbox, res.First, res.Count)
	uids := wire.NumSet{}
	uids.Add(res.First, res.First+uint32(res.Count)-1)
	return reply{fmt.Sprintf("APPENDUID %d %s", res.UIDValidity, uids), "Message appended"}, nil
}

// message parses the flags, date and octets of the next message.
func (up *upload) message() error {
	s := up.s
	if len(up.msgs) >= s.srv.opts.Limits.MessagesAppend {
		return s.no("LIMIT", fmt.Sprintf("At most %d messages at a time", s.srv.opts.Limits.MessagesAppend))
	}
	if err := s.r.SP(); err != nil {
		return err
	}
	var msg mailstore.NewMessage
	var err error
	if msg.Flags, msg.InternalDate, err = s.appendOptions(); err != nil {
		return err
	}
	raw, err := up.body()
	if err != nil {
		return err
	}
	if msg.Body, err = s.srv.opts.Store.Prepare(raw); err != nil {
		return err
	}
	up.msgs = append(up.msgs, msg)
	up.kept += int64(len(raw))
	return nil
}

// appendOptions parses the optional flags and the optional date of a message, each with the space behind it.
func (s *session) appendOptions() (flags []string, date time.Time, err error) {
	c, err := s.r.Peek()
	if err == nil && c == '(' {
		if flags, err = s.r.FlagList(); err != nil {
			return nil, date, err
		}
		if err = s.r.SP(); err != nil {
			return nil, date, err
		}
		c, err = s.r.Peek()
	}
	if err == nil && c == '"' {
		if date, err = s.r.DateTime(); err != nil {
			return nil, date, err
		}
		err = s.r.SP()
	}
	return flags, date, err
}

// body reads the literal that is a message. It refuses an empty one, with which a client cancels (RFC 3502, section 6.3.11),
// and NUL, which no literal may hold that has to give the message back later.
func (up *upload) body() ([]byte, error) {
	s := up.s
	lit, err := s.r.Literal(s.srv.opts.Limits.MessageBytes)
	if err != nil {
		return nil, err
	}
	if lit.Size == 0 {
		return nil, s.no("", "The message is empty; nothing was appended")
	}
	if !up.reserve(lit.Size) {
		return nil, s.no("UNAVAILABLE", "Too many messages are being uploaded; try again later")
	}
	if err := lit.Accept(); err != nil {
		return nil, err
	}
	raw, err := readLiteral(lit)
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(raw, 0) < 0 {
		return raw, nil
	}
	if lit.Binary {
		return nil, s.no("UNKNOWN-CTE", "Messages with NUL octets cannot be stored") // RFC 3516, section 4.4
	}
	return nil, s.no("", "The message has NUL octets")
}

// readLiteral reads a literal into memory that grows as octets come, so that an announcement alone ties up little.
func readLiteral(lit *wire.Literal) ([]byte, error) {
	raw := make([]byte, 0, min(lit.Size, appendChunk))
	for int64(len(raw)) < lit.Size {
		if len(raw) == cap(raw) {
			raw = append(make([]byte, 0, min(lit.Size, 4*int64(cap(raw)))), raw...)
		}
		n, err := lit.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
		if err != nil && !(errors.Is(err, io.EOF) && int64(len(raw)) == lit.Size) {
			return nil, err
		}
	}
	return raw, nil
}

// stash stores ahead the bodies read so far once they are many bytes, when more messages follow.
func (up *upload) stash(ctx context.Context) error {
	if up.kept <= stashBytes {
		return nil
	}
	s := up.s
	for i := range up.msgs {
		if err := s.srv.opts.Store.Stash(ctx, s.id, s.id.Account, up.msgs[i].Body); err != nil {
			return err
		}
	}
	up.kept = 0
	up.release()
	return nil
}

// reserve takes memory for a message out of what all uploads may use.
func (up *upload) reserve(size int64) bool {
	if up.s.srv.uploading.Add(size) > up.s.srv.opts.Limits.AppendBytes {
		up.s.srv.uploading.Add(-size)
		return false
	}
	up.reserved += size
	return true
}

func (up *upload) release() {
	up.s.srv.uploading.Add(-up.reserved)
	up.reserved = 0
}
