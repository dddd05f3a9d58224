package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"angarium/eventlog"
	"angarium/internal/auth"
	"angarium/internal/buildinfo"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/replica"
)

// maxRequest bounds the body of a control request in bytes: a batch of some thousand accounts.
const maxRequest = 16 << 20

// Handler serves the control API.
func (n *Node) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+control.PathStatus, n.handleStatus)
	mux.HandleFunc("GET "+control.PathAccounts, n.handleAccounts)
	mux.HandleFunc("POST "+control.PathAccounts, n.handleAddAccounts)
	mux.HandleFunc("GET "+control.PathAccount, n.handleAccount)
	mux.HandleFunc("PATCH "+control.PathAccount, n.handleChangeAccount)
	mux.HandleFunc("DELETE "+control.PathAccount, n.handleDeleteAccount)
	mux.HandleFunc("POST "+control.PathVerify, n.handleVerify)
	mux.HandleFunc("GET "+control.PathLog, n.handleLog)
	mux.HandleFunc("GET "+control.PathLogStat, n.handleLogStat)
	mux.HandleFunc("POST "+control.PathRebuild, n.handleRebuild)
	mux.HandleFunc("POST "+control.PathReload, n.handleReload)
	mux.HandleFunc("POST "+control.PathScrub, n.handleScrub)
	n.siteHandlers(mux)
	n.notifyHandlers(mux)
	n.archiveHandlers(mux)
	n.restoreHandlers(mux)
	mux.HandleFunc("POST "+control.PathExpire, n.handleExpire)
	n.transferHandlers(mux)
	return mux
}

// operator is the identity of whoever reaches the control socket.
func operator() mailstore.Identity { return mailstore.Identity{Service: "syncctl", Admin: true} }

// maxCallerText bounds what the history keeps of who asked for something, and how.
const maxCallerText = 250

// operatorAs is operator, with who asked for it: the user is the actor of the events, and the command stands for the session.
func operatorAs(by control.Caller) mailstore.Identity {
	clip := func(text string) string {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, text)
		return strings.ToValidUTF8(text[:min(len(text), maxCallerText)], "")
	}
	id := operator()
	id.Account, id.Session = clip(by.User), clip(by.Command)
	return id
}

func (n *Node) handleStatus(w http.ResponseWriter, r *http.Request) {
	st, err := n.Status(r.Context())
	answer(w, st, err)
}

func (n *Node) handleReload(w http.ResponseWriter, _ *http.Request) {
	if n.Reload == nil {
		fail(w, &control.Error{Code: control.CodeUsage, Message: "no server runs"})
		return
	}
	answer(w, struct{}{}, n.Reload())
}

// answer writes one JSON object, or the error.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the tool has gone if this fails
}

func fail(w http.ResponseWriter, err error) {
	e := controlError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpStatus[e.Code])
	_ = json.NewEncoder(w).Encode(map[string]*control.Error{"error": e}) // the tool has gone if this fails
}

var httpStatus = map[string]int{
	control.CodeUsage: http.StatusBadRequest, control.CodeNotFound: http.StatusNotFound, control.CodeExists: http.StatusConflict,
	control.CodeUnavailable: http.StatusServiceUnavailable, control.CodeHalted: http.StatusServiceUnavailable,
	control.CodeInternal: http.StatusInternalServerError,
}

// controlError finds the code and the hint for an error.
func controlError(err error) *control.Error {
	var ready *control.Error
	if errors.As(err, &ready) {
		return ready
	}
	e := &control.Error{Code: control.CodeInternal, Message: err.Error()}
	var refusal *eventlog.Refusal
	switch {
	case errors.Is(err, replica.ErrHalted):
		e.Code, e.Hint = control.CodeHalted, "see syncctl status for where and why; syncctl resync makes the replica anew from another node, syncctl rebuild from the log"
	case errors.Is(err, mailstore.ErrUnavailable):
		e.Code = control.CodeUnavailable
	case errors.Is(err, mailstore.ErrNoAccount):
		e.Code = control.CodeNotFound
	case errors.Is(err, mailstore.ErrAccountExists):
		e.Code = control.CodeExists
	case errors.Is(err, auth.ErrBadName), errors.Is(err, auth.ErrBadPassword):
		e.Code = control.CodeUsage
	case errors.As(err, &refusal):
		e.Code, e.Hint = control.CodeUnavailable, refusal.Hint
	}
	return e
}

func decode(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return &control.Error{Code: control.CodeUsage, Message: "malformed request: " + err.Error()}
	}
	return nil
}

// progressPause is the least time between two progress lines.
const progressPause = 200 * time.Millisecond

// lines writes the lines of a long answer. It is for one goroutine.
type lines struct {
	w    http.ResponseWriter
	enc  *json.Encoder
	last time.Time
}

func newLines(w http.ResponseWriter) *lines {
	w.Header().Set("Content-Type", "application/x-ndjson")
	return &lines{w: w, enc: json.NewEncoder(w), last: time.Now()}
}

func (l *lines) write(u control.Update) {
	_ = l.enc.Encode(u) // the tool has gone if this fails, and its context with it
}

func (l *lines) flush() {
	if f, ok := l.w.(http.Flusher); ok {
		f.Flush()
	}
}

func (l *lines) progress(p control.Progress) {
	if time.Since(l.last) < progressPause {
		return
	}
	l.last = time.Now()
	l.write(control.Update{Progress: &p})
	l.flush()
}

func (l *lines) item(v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		l.write(control.Update{Item: raw})
	}
	return err
}

// end writes the last line.
func (l *lines) end(v any, err error) {
	if err != nil {
		l.write(control.Update{Error: controlError(err)})
		return
	}
	raw, err := json.Marshal(v)
	if err != nil {
		l.write(control.Update{Error: controlError(err)})
		return
	}
	l.write(control.Update{Done: raw})
}

// number reads a number of the query, def when it is not there.
func number(r *http.Request, name string, def uint64) (uint64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return def, nil
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("%s=%q is no number", name, s)}
	}
	return v, nil
}

func (n *Node) shardOf(r *http.Request) (*shard, error) {
	k, err := number(r, "shard", 0)
	if err == nil && k >= uint64(len(n.shards)) {
		err = &control.Error{Code: control.CodeNotFound, Message: fmt.Sprintf("no shard %d: there are %d, counted from 0", k, len(n.shards))}
	}
	if err != nil {
		return nil, err
	}
	return n.shards[k], nil
}

// OfflineHandler opens a data directory that no server has open, and serves the control API over it. With write set it becomes the
// primary of its shards. The closer closes the directory.
func OfflineHandler(ctx context.Context, dataDir, configFile string, write bool, logger *slog.Logger) (http.Handler, io.Closer, error) {
	cfg, err := loadConfig(configFile)
	if err != nil {
		return nil, nil, err
	}
	n, err := Open(ctx, Options{Data: dataDir, Config: cfg, Logger: logger, Version: buildinfo.Version()})
	if err != nil {
		return nil, nil, err
	}
	if write {
		err := n.mayWriteOffline()
		if err == nil {
			err = n.Lead(ctx)
		}
		if err != nil {
			return nil, nil, errors.Join(err, n.Close(context.WithoutCancel(ctx)))
		}
	} else {
		for _, s := range n.shards { // a halted replica is shown as it is
			if err := s.catchUp(ctx); err != nil && !errors.Is(err, replica.ErrHalted) {
				return nil, nil, errors.Join(err, n.Close(context.WithoutCancel(ctx)))
			}
		}
	}
	return n.Handler(), closer{n}, nil
}

// mayWriteOffline says whether a tool may lead: not in the place of a server whose site may have another primary.
func (n *Node) mayWriteOffline() error {
	r, err := readRole(n.opts.Data)
	if err != nil {
		return err
	}
	if r.Role == roleReplica || r.Followed {
		return &control.Error{
			Code: control.CodeUnavailable, Message: "this data directory belongs to a site of several nodes", Hint: "start the server, or run this on the primary",
		}
	}
	return nil
}

type closer struct{ n *Node }

// Close implements io.Closer.
func (c closer) Close() error { return c.n.Close(context.Background()) }
