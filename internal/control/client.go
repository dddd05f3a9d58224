package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	"angarium/replica/state"
)

var (
	// ErrNoServer says that no server has the data directory open.
	ErrNoServer = errors.New("no server answers on the control socket")
	// ErrBroken says that an answer did not come whole: what was asked for may have been done or not.
	ErrBroken = errors.New("the connection to the server broke")
)

// Client talks to a node. It can be used by several goroutines. A failure that the node reports is an *Error; one of the transport
// wraps ErrBroken, or the context's error once that has ended.
type Client struct {
	http http.Client
}

// Dial connects to the server that has a data directory open: ErrNoServer when the socket is absent or nobody listens on it.
func Dial(ctx context.Context, dataDir string) (*Client, error) {
	path := filepath.Join(dataDir, SocketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	c, err := dial(ctx, "", "")
	if absent(err) {
		return nil, fmt.Errorf("%w: %s", ErrNoServer, path)
	}
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the control socket: %w", err)
	}
	// Commands are few and far between: a kept connection would only be one more thing to close.
	return newClient(&http.Transport{DialContext: dial, DisableKeepAlives: true}), nil
}

// absent says whether dialling failed because nobody listens. EINVAL is a path too long for a socket: no server listens there either.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.EINVAL)
}

// NewClient makes a client of a handler in this process. When one of its methods returns, the handler has returned too.
func NewClient(h http.Handler) *Client { return newClient(&inProcess{h}) }

func newClient(t http.RoundTripper) *Client {
	// No path of the API redirects; a handler that cleans paths may try to.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{http.Client{Transport: t, CheckRedirect: stay}}
}

// Status asks how the node does.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return call[Status](ctx, c, http.MethodGet, PathStatus, nil)
}

// Accounts lists all accounts, without their mailboxes.
func (c *Client) Accounts(ctx context.Context) (AccountList, error) {
	return call[AccountList](ctx, c, http.MethodGet, PathAccounts, nil)
}

// Account reads one account with its mailboxes.
func (c *Client) Account(ctx context.Context, name string) (Account, error) {
	return call[Account](ctx, c, http.MethodGet, accountPath(name), nil)
}

// AddAccounts makes accounts. each is told what became of every one, in the order of the request; if it returns an error, AddAccounts
// ends with that, and the node may add the rest all the same.
func (c *Client) AddAccounts(ctx context.Context, req AddAccounts, each func(AccountResult) error) error {
	n := 0
	count := func(r AccountResult) error {
		n++
		return each(r)
	}
	_, err := stream[AccountResult, struct{}](ctx, c, http.MethodPost, PathAccounts, req, count, nil)
	if err == nil && n != len(req.Accounts) {
		err = fmt.Errorf("%w: %d results for %d accounts", ErrBroken, n, len(req.Accounts))
	}
	return err
}

// ChangeAccount changes a password, or whether an account is disabled.
func (c *Client) ChangeAccount(ctx context.Context, name string, req ChangeAccount) error {
	_, err := call[struct{}](ctx, c, http.MethodPatch, accountPath(name), req)
	return err
}

// DeleteAccount removes an account with all its mail.
func (c *Client) DeleteAccount(ctx context.Context, name string) error {
	_, err := call[struct{}](ctx, c, http.MethodDelete, accountPath(name), nil)
	return err
}

func accountPath(name string) string { return named(PathAccount, name) }

// named is a path of something by its name. Dots are encoded too, or the names "." and ".." would be steps of the path.
func named(path, name string) string {
	return strings.ReplaceAll(path, "{name}", strings.ReplaceAll(url.PathEscape(name), ".", "%2E"))
}

// Verify checks the node. each is told every violation, progress how far it is; progress may be nil.
func (c *Client) Verify(ctx context.Context, req VerifyRequest, each func(state.Violation) error, progress func(Progress)) (VerifyResult, error) {
	return stream[state.Violation, VerifyResult](ctx, c, http.MethodPost, PathVerify, req, each, progress)
}

// Log reads the events of a shard's log in order. With Follow it ends only with an error: that of ctx, or of each.
func (c *Client) Log(ctx context.Context, q LogQuery, each func(LogEvent) error) error {
	_, err := stream[LogEvent, struct{}](ctx, c, http.MethodGet, PathLog+"?"+q.values().Encode(), nil, each, nil)
	return err
}

// LogStat sums up the log of a shard. progress may be nil.
func (c *Client) LogStat(ctx context.Context, shard int, progress func(Progress)) (LogStat, error) {
	path := PathLogStat + "?" + LogQuery{Shard: shard}.values().Encode()
	return stream[struct{}, LogStat](ctx, c, http.MethodGet, path, nil, nil, progress)
}

// Rebuild makes replicas anew from their logs. progress may be nil.
func (c *Client) Rebuild(ctx context.Context, req RebuildRequest, progress func(Progress)) (RebuildResult, error) {
	return stream[struct{}, RebuildResult](ctx, c, http.MethodPost, PathRebuild, req, nil, progress)
}

// Reload makes the server read its certificates again.
func (c *Client) Reload(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, http.MethodPost, PathReload, nil)
	return err
}

// do sends a request and returns the body of a good answer.
func (c *Client) do(ctx context.Context, method, path string, req any) (io.ReadCloser, error) {
	var body io.Reader
	if req != nil {
		b, err := json.Marshal(req)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://control"+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, broken(ctx, method, path, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	err = refused(res)
	_ = res.Body.Close() // read to its end, or given up
	return nil, err
}
