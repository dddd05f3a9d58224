package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Bounds of what a client reads, in bytes.
const (
	maxLine   = 64 << 20  // a line of a long answer: an event of the log with the UIDs of a large mailbox
	maxAnswer = 256 << 20 // a single answer: the list of a million accounts
	maxError  = 1 << 20   // the answer of a request that failed
)

// LogQuery says which events of a log are wanted. Zero values ask for all of shard 0.
type LogQuery struct {
	Shard    int
	From, To uint64 // positions, both inclusive; 0: the oldest held, the newest
	Limit    uint64 // events; 0: no limit
	Account  string // of this account only
	Kind     string // of this kind only, as "MessagesAppended"
	Follow   bool   // wait for more at the end
}

func (q LogQuery) values() url.Values {
	v := url.Values{"shard": {strconv.Itoa(q.Shard)}}
	for name, n := range map[string]uint64{"from": q.From, "to": q.To, "limit": q.Limit} {
		if n > 0 {
			v.Set(name, strconv.FormatUint(n, 10))
		}
	}
	for name, s := range map[string]string{"account": q.Account, "kind": q.Kind} {
		if s != "" {
			v.Set(name, s)
		}
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	return v
}

// broken is an error of the transport.
func broken(ctx context.Context, method, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", method, path, ctx.Err())
	}
	return fmt.Errorf("%s %s: %w: %w", method, path, ErrBroken, err)
}

// refused is the error of an answer other than 200.
func refused(res *http.Response) error {
	var failed struct {
		Error *Error `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxError)).Decode(&failed); err == nil && failed.Error != nil {
		return failed.Error
	}
	return &Error{
		Code:    CodeInternal,
		Message: fmt.Sprintf("%s %s: the server answers %d %s", res.Request.Method, res.Request.URL.Path, res.StatusCode, http.StatusText(res.StatusCode)),
		Hint:    "server and tool should be of the same version",
	}
}

// call is a request with one answer.
func call[T any](ctx context.Context, c *Client, method, path string, req any) (T, error) {
	var v T
	body, err := c.do(ctx, method, path, req)
	if err != nil {
		return v, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&v); err != nil {
		return v, broken(ctx, method, path, err)
	}
	return v, nil
}

// stream is a request with a long answer. each and progress may be nil.
func stream[Item, Done any](ctx context.Context, c *Client, method, path string, req any, each func(Item) error, progress func(Progress)) (Done, error) {
	var done Done
	body, err := c.do(ctx, method, path, req)
	if err != nil {
		return done, err
	}
	defer body.Close()
	lines := &lineReader{r: bufio.NewReaderSize(body, 64<<10), max: maxLine}
	for {
		var u Update
		line, err := lines.next()
		if err == nil {
			err = json.Unmarshal(line, &u)
		}
		if err != nil {
			return done, broken(ctx, method, path, err)
		}
		switch {
		case u.Error != nil:
			if ctx.Err() != nil { // it failed because we gave up
				return done, broken(ctx, method, path, ctx.Err())
			}
			return done, u.Error
		case u.Done != nil:
			if err := json.Unmarshal(u.Done, &done); err != nil {
				return done, broken(ctx, method, path, err)
			}
			return done, nil
		case u.Item != nil && each != nil:
			var item Item
			if err := json.Unmarshal(u.Item, &item); err != nil {
				return done, broken(ctx, method, path, err)
			}
			if err := each(item); err != nil {
				return done, err
			}
		case u.Progress != nil && progress != nil:
			progress(*u.Progress)
		}
	}
}

// lineReader reads lines of at most max bytes. Unlike a bufio.Scanner it looks at each byte of a long line once.
type lineReader struct {
	r   *bufio.Reader
	max int
	buf []byte
}

// next gives the next line, which stays as it is until the call after.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		l.buf = append(l.buf, piece...)
		switch {
		case len(l.buf) > l.max:
			return nil, fmt.Errorf("a line is longer than %d bytes", l.max)
		case err == nil, errors.Is(err, io.EOF) && len(l.buf) > 0:
			return l.buf, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("the answer has no end")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
