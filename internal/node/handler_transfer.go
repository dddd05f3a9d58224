package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/transfer"
)

// ledgerDir is where imports keep what they have copied, in the data directory.
const ledgerDir = "import"

// Bounds of imports and exports.
const (
	transferParallel    = 4  // accounts at a time, when nothing is said
	maxTransferParallel = 64 // accounts at a time
	rateBurst           = 1 << 20
)

func (n *Node) transferHandlers(mux *http.ServeMux) {
	mux.HandleFunc("POST "+control.PathImport, n.handleImport)
	mux.HandleFunc("POST "+control.PathExport, n.handleExport)
}

// transferRun is one import or export: many accounts, some at a time.
type transferRun struct {
	n    *Node
	mu   sync.Mutex // guards what is below
	out  *lines
	res  control.TransferResult
	done map[string]uint64 // messages of the accounts under way
	past uint64            // messages of those that are finished
	fail error             // that nobody can be told of any more
}

// each calls work for each account, at most parallel at a time, and tells what became of it.
func (t *transferRun) each(ctx context.Context, count, parallel int, work func(ctx context.Context, i int) control.Transferred) error {
	slots := make(chan struct{}, parallel)
	var wg sync.WaitGroup
	for i := range count {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			begin := time.Now()
			one := work(ctx, i)
			one.Seconds = time.Since(begin).Seconds()
			t.tell(one)
		})
	}
	wg.Wait()
	return errors.Join(ctx.Err(), t.fail)
}

func (t *transferRun) tell(one control.Transferred) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.done, one.Account)
	t.past += uint64(one.Messages)
	t.res.Accounts++
	t.res.Messages += one.Messages
	t.res.Bytes += one.Bytes
	if !one.OK || one.Failed > 0 {
		t.res.Failed++
	}
	t.fail = errors.Join(t.fail, t.out.item(one))
	t.out.flush()
}

// progress tells of a single account how far its mailbox is, of several how many messages were copied.
func (t *transferRun) progress(what, account string, single bool) func(transfer.Progress) {
	return func(p transfer.Progress) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if single {
			t.out.progress(control.Progress{What: what + " " + p.Mailbox, Done: uint64(p.Done), Total: uint64(p.OfMessages), Unit: "messages"})
			return
		}
		t.done[account] = uint64(p.Done)
		sum := t.past
		for _, d := range t.done {
			sum += d
		}
		t.out.progress(control.Progress{What: what, Done: sum, Unit: "messages"})
	}
}

// report fills in what became of an account.
func report(one *control.Transferred, rep *transfer.Report, err error) {
	one.OK = err == nil
	if err != nil {
		one.Error = controlError(transferError(err))
	}
	one.Problems = []control.TransferProblem{}
	if rep == nil {
		return
	}
	one.Mailboxes, one.Made, one.Kept, one.Messages, one.Bytes = rep.Mailboxes, rep.Made, rep.Kept, rep.Messages, rep.Bytes
	one.Known, one.Flags, one.Expunged, one.Failed = rep.Known, rep.Flags, rep.Expunged, rep.Failed
	for _, p := range rep.Problems {
		one.Problems = append(one.Problems, control.TransferProblem(p))
	}
}

// transferError says what an error of a transfer means to whoever asked.
func transferError(err error) error {
	var ready *control.Error
	switch {
	case errors.As(err, &ready):
		return err
	case errors.Is(err, transfer.ErrSource):
		return &control.Error{Code: control.CodeNotFound, Message: err.Error(), Hint: "paths are those of the server's machine, and its user has to be able to read them"}
	case errors.Is(err, transfer.ErrLogin):
		return &control.Error{Code: control.CodeUsage, Message: err.Error(), Hint: "look at the user, the password and --auth-user"}
	case errors.Is(err, mailstore.ErrLimit), errors.Is(err, mailstore.ErrName):
		return &control.Error{Code: control.CodeUsage, Message: err.Error()}
	}
	return err
}

// busy keeps two imports of one account apart. The function ends it.
func (n *Node) busy(account string) (func(), error) {
	if _, there := n.importing.LoadOrStore(account, true); there {
		return nil, &control.Error{Code: control.CodeUnavailable, Message: "an import of " + account + " is under way"}
	}
	return func() { n.importing.Delete(account) }, nil
}

func (n *Node) handleExport(w http.ResponseWriter, r *http.Request) {
	var req control.ExportRequest
	err := decode(w, r, &req)
	var accounts []string
	if err == nil {
		accounts, err = n.exported(r.Context(), req)
	}
	if err != nil {
		fail(w, err)
		return
	}
	t := &transferRun{n: n, out: newLines(w), done: map[string]uint64{}}
	t.res.DryRun = req.DryRun
	begin := time.Now()
	single := len(req.Accounts) == 1
	err = t.each(r.Context(), len(accounts), 2, func(ctx context.Context, i int) control.Transferred {
		one := control.Transferred{Account: accounts[i], Dir: req.Dir}
		if !single {
			one.Dir = filepath.Join(req.Dir, safeName(accounts[i]))
		}
		rep, err := transfer.Export(ctx, n.store, operator(), transfer.ExportOptions{
			Account: accounts[i], Format: req.Format, Dir: one.Dir, Include: req.Include, Exclude: req.Exclude, DryRun: req.DryRun,
			Progress: t.progress("export", accounts[i], single),
		})
		report(&one, rep, err)
		return one
	})
	t.res.Seconds = time.Since(begin).Seconds()
	t.out.end(t.res, err)
}

// safeName makes a name of an account one of a directory.
func safeName(account string) string {
	name := strings.ReplaceAll(account, "/", "_")
	if strings.HasPrefix(name, ".") {
		name = "_" + name[1:]
	}
	return name
}

// exported checks a request, and lists the accounts.
func (n *Node) exported(ctx context.Context, req control.ExportRequest) ([]string, error) {
	usage := func(text string) error { return &control.Error{Code: control.CodeUsage, Message: text} }
	switch {
	case req.Format != transfer.FormatMaildir && req.Format != transfer.FormatMbox && req.Format != transfer.FormatArchive:
		return nil, usage(fmt.Sprintf("there is no export as %q", req.Format))
	case !filepath.IsAbs(req.Dir):
		return nil, usage("the directory has to be an absolute path")
	}
	var names []string
	for _, a := range req.Accounts {
		name, err := n.canonical(a)
		if err != nil {
			return nil, err
		}
		if _, err := n.store.Account(ctx, name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(req.Accounts) > 0 {
		return names, nil
	}
	list, err := n.store.Accounts(ctx, operator())
	for _, a := range list {
		names = append(names, a.Name)
	}
	return names, err
}

// limiter makes the limit of an import.
func limiter(bytesPerSecond int) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytesPerSecond), rateBurst)
}
