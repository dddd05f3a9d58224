package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/time/rate"

	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/transfer"
)

func (n *Node) handleImport(w http.ResponseWriter, r *http.Request) {
	var req control.ImportRequest
	err := decode(w, r, &req)
	if err == nil {
		err = checkImport(&req)
	}
	if err != nil {
		fail(w, err)
		return
	}
	t := &transferRun{n: n, out: newLines(w), done: map[string]uint64{}}
	t.res.DryRun = req.DryRun
	begin := time.Now()
	limit := limiter(req.BytesPerSecond)
	err = t.each(r.Context(), len(req.Accounts), req.Parallel, func(ctx context.Context, i int) control.Transferred {
		return t.importOne(ctx, req, req.Accounts[i], limit)
	})
	t.res.Seconds = time.Since(begin).Seconds()
	t.out.end(t.res, err)
}

// checkImport checks a request and fills in what it leaves open.
func checkImport(req *control.ImportRequest) error {
	usage := func(text string, a ...any) error {
		return &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf(text, a...)}
	}
	switch {
	case len(req.Accounts) == 0:
		return usage("no account is named")
	case req.Parallel < 0 || req.Parallel > maxTransferParallel:
		return usage("%d accounts at a time: at most %d", req.Parallel, maxTransferParallel)
	case req.Parallel == 0:
		req.Parallel = transferParallel
	}
	switch req.Kind {
	case "imap":
		if _, _, err := net.SplitHostPort(req.Server.Address); err != nil {
			return usage("address of the server: %v", err)
		}
		switch req.Server.TLS {
		case "", transfer.TLS, transfer.StartTLS, transfer.Plaintext:
		default:
			return usage("there is no TLS %q", req.Server.TLS)
		}
	case "maildir", "mbox", "archive":
		for _, a := range req.Accounts {
			if !filepath.IsAbs(a.Source) {
				return usage("%q is no absolute path", a.Source)
			}
		}
	default:
		return usage("there is no import of %q", req.Kind)
	}
	return nil
}

// importOne imports one account, and makes it first if it is not there.
func (t *transferRun) importOne(ctx context.Context, req control.ImportRequest, a control.ImportAccount, limit *rate.Limiter) control.Transferred {
	n := t.n
	one := control.Transferred{Source: a.Source, Account: a.Account}
	account, err := n.canonical(a.Account)
	if err != nil {
		report(&one, nil, err)
		return one
	}
	one.Account = account
	free, err := n.busy(account)
	if err != nil {
		report(&one, nil, err)
		return one
	}
	defer free()
	src, name, err := n.openSource(ctx, req, a)
	if err != nil {
		report(&one, nil, err)
		return one
	}
	defer src.Close() // nothing was written to it
	if one.Created, err = n.wantAccount(ctx, req, a, account); err != nil {
		report(&one, nil, err)
		return one
	}
	rep, err := transfer.Import(ctx, n.store, operator(), src, transfer.Options{
		Account: account, Source: name, Ledgers: filepath.Join(n.opts.Data, ledgerDir), Keep: req.Keep,
		Include: req.Include, Exclude: req.Exclude, Into: req.Into, SkipVirtual: req.SkipVirtual, NoFlags: req.NoFlags, Delete: req.Delete, DryRun: req.DryRun,
		Limit: limit, Progress: t.progress("import", account, len(req.Accounts) == 1),
	})
	report(&one, rep, err)
	return one
}

// wantAccount sees to it that the account is there.
func (n *Node) wantAccount(ctx context.Context, req control.ImportRequest, a control.ImportAccount, account string) (created bool, err error) {
	_, err = n.store.Account(ctx, account)
	if !errors.Is(err, mailstore.ErrNoAccount) {
		return false, err
	}
	password := a.NewPassword
	if password == "" && !req.Create {
		return false, &control.Error{
			Code: control.CodeNotFound, Message: err.Error(),
			Hint: "--create makes it, with the password that the CSV file names or one that nobody knows",
		}
	}
	if req.DryRun {
		return true, nil
	}
	if password == "" {
		password = rand.Text()
	}
	_, err = n.AddAccount(ctx, account, password)
	return err == nil, err
}

// openSource opens the other side of an import, and names it for the ledger.
func (n *Node) openSource(ctx context.Context, req control.ImportRequest, a control.ImportAccount) (transfer.Source, string, error) {
	limit := n.store.MaxMessage()
	name := req.Kind + " " + filepath.Clean(a.Source)
	switch req.Kind {
	case "maildir":
		src, err := transfer.OpenMaildir(a.Source, limit)
		return src, name, err
	case "mbox":
		src, err := transfer.OpenMbox(a.Source, limit)
		return src, name, err
	case "archive":
		src, err := transfer.OpenArchive(a.Source, limit)
		return src, name, err
	}
	s := req.Server
	opts := transfer.IMAPOptions{
		Address: s.Address, TLS: s.TLS, Insecure: s.Insecure, User: a.Source, Password: a.Password, OAuth: s.OAuth, MaxMessage: limit,
	}
	if s.AuthUser != "" {
		opts.AuthUser, opts.Password = s.AuthUser, s.Password
	}
	src, err := transfer.OpenIMAP(ctx, opts)
	if err != nil {
		return nil, "", err
	}
	return src, src.Name(), nil
}
