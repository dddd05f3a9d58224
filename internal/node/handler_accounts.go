package node

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"angarium/eventlog/event"
	"angarium/internal/auth"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/replica/state"
)

// addWorkers bounds how many accounts of a batch are added at once: they share the log's fsyncs.
const addWorkers = 64

func loadConfig(file string) (config.Config, error) {
	if file == "" {
		return config.Default(), nil
	}
	return config.Load(file)
}

// canonical reads an account's name as people write it.
func (n *Node) canonical(name string) (string, error) {
	return auth.CanonicalName(name, n.opts.Config.Server.DefaultDomain)
}

// verifier makes a credential of a password.
func (n *Node) verifier(password string) (event.Credential, error) {
	v, err := auth.NewVerifier(password, n.opts.Config.Auth.ScramIterations)
	if err != nil {
		return event.Credential{}, err
	}
	return event.Credential{Iterations: uint32(v.Iterations), Salt: v.Salt, StoredKey: v.StoredKey, ServerKey: v.ServerKey}, nil
}

// Lookup finds the credential of an account, for auth.Authenticator.
func (n *Node) Lookup(ctx context.Context, name string) (auth.Account, error) {
	a, err := n.store.Account(ctx, name)
	if err != nil {
		if errors.Is(err, mailstore.ErrNoAccount) {
			err = auth.ErrNoAccount
		}
		return auth.Account{}, err
	}
	c := a.Credential
	return auth.Account{
		Name: a.Name, Disabled: a.Disabled,
		Verifier: auth.Verifier{Iterations: int(c.Iterations), Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey},
	}, nil
}

// AddAccount makes an account.
func (n *Node) AddAccount(ctx context.Context, name, password string) (string, error) {
	name, err := n.canonical(name)
	if err != nil {
		return "", err
	}
	cred, err := n.verifier(password)
	if err != nil {
		return name, err
	}
	return name, n.store.CreateAccount(ctx, operator(), name, cred)
}

func (n *Node) handleAddAccounts(w http.ResponseWriter, r *http.Request) {
	var req control.AddAccounts
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	results := make([]control.AccountResult, len(req.Accounts))
	var wg sync.WaitGroup
	slots := make(chan struct{}, addWorkers)
	for i, a := range req.Accounts {
		if r.Context().Err() != nil {
			break // nobody is left to be answered
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			name, err := n.AddAccount(r.Context(), a.Name, a.Password)
			results[i] = control.AccountResult{Name: name, OK: err == nil}
			if err != nil {
				results[i].Error = controlError(err)
			}
			if name == "" {
				results[i].Name = a.Name
			}
		})
	}
	wg.Wait()
	out := newLines(w)
	for i := range results {
		_ = out.item(results[i])
	}
	out.end(struct{}{}, nil)
}

func (n *Node) handleAccounts(w http.ResponseWriter, r *http.Request) {
	list, err := n.store.Accounts(r.Context(), operator())
	res := control.AccountList{Accounts: []control.Account{}}
	for _, a := range list {
		if err != nil {
			break
		}
		var one control.Account
		one, err = n.account(r.Context(), a, false)
		res.Accounts = append(res.Accounts, one)
	}
	answer(w, res, err)
}

func (n *Node) handleAccount(w http.ResponseWriter, r *http.Request) {
	name, err := n.canonical(r.PathValue("name"))
	if err != nil {
		fail(w, err)
		return
	}
	a, err := n.store.Account(r.Context(), name)
	if err != nil {
		fail(w, err)
		return
	}
	one, err := n.account(r.Context(), a, true)
	answer(w, one, err)
}

// account sums up an account.
func (n *Node) account(ctx context.Context, a *state.Account, boxes bool) (control.Account, error) {
	res := control.Account{
		Name: a.Name, Disabled: a.Disabled, Created: time.UnixMicro(a.Created).UTC(), Shard: mailstore.ShardOf(a.Name, len(n.shards)),
	}
	list, err := n.store.Mailboxes(ctx, operator(), a.Name)
	for _, m := range list {
		res.Mailboxes++
		res.Messages += uint64(m.Messages)
		res.Unseen += uint64(m.Unseen)
		res.Bytes += m.Size
		if boxes {
			res.Boxes = append(res.Boxes, control.Mailbox{
				Name: m.Name, ID: m.ID.String(), UIDValidity: m.UIDValidity, UIDNext: m.UIDNext, HighestModseq: m.HighestModseq,
				Messages: m.Messages, Unseen: m.Unseen, Bytes: m.Size, SpecialUse: m.SpecialUse,
			})
		}
	}
	return res, err
}

func (n *Node) handleChangeAccount(w http.ResponseWriter, r *http.Request) {
	var req control.ChangeAccount
	err := decode(w, r, &req)
	var name string
	if err == nil {
		name, err = n.canonical(r.PathValue("name"))
	}
	if err == nil && req.Password != nil {
		var cred event.Credential
		if cred, err = n.verifier(*req.Password); err == nil {
			err = n.store.SetCredential(r.Context(), operator(), name, cred)
		}
	}
	if err == nil && req.Disabled != nil {
		err = n.store.DisableAccount(r.Context(), operator(), name, *req.Disabled)
	}
	n.oust(name)
	answer(w, struct{}{}, err)
}

// oust ends the sessions of an account after a change was tried, whatever is known of its outcome.
func (n *Node) oust(name string) {
	if name != "" && n.Oust != nil {
		n.Oust(name)
	}
}

func (n *Node) handleDeleteAccount(w http.ResponseWriter, r *http.Request) {
	name, err := n.canonical(r.PathValue("name"))
	if err == nil {
		err = n.store.DeleteAccount(r.Context(), operator(), name)
	}
	n.oust(name)
	answer(w, struct{}{}, err)
}
