package node

import (
	"context"
	"net/http"
	"sync"
	"time"

	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/mailstore/expire"
)

// expireSoon is when the policies run first after a start: a server that is restarted often runs them all the same.
const expireSoon = 5 * time.Minute

// expiring runs the policies of the configuration while a server runs.
type expiring struct {
	running sync.Mutex // held while they run
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// policySet gives the policies of a configuration.
func policySet(c config.Config) expire.Set {
	set := expire.Set{Keep: expire.Window{Expunged: c.Expire.KeepExpunged.Std(), Deleted: c.Expire.KeepDeleted.Std()}}
	for _, p := range c.Policies {
		set.Policies = append(set.Policies, expire.Policy{
			Name: p.Name, Domain: p.Domain, Account: p.Account, Mailbox: p.Mailbox, SpecialUse: p.SpecialUse,
			MaxAge: p.MaxAge.Std(), ByReceived: p.AgeBy == "received", MaxMessages: p.MaxMessages, MaxBytes: int64(p.MaxSize),
			KeepExpunged: p.KeepExpunged.Std(), KeepDeleted: p.KeepDeleted.Std(), Final: p.Final,
		})
	}
	return set
}

// Restorable is how long what was expunged from a mailbox, and the mailbox itself when it was deleted, stays restorable at least.
func (n *Node) Restorable(account, mailbox string, uses []string) expire.Window {
	set := policySet(n.opts.Config)
	return set.For(account, mailbox, uses).Keep
}

// LongestRestorable is the longest of these windows: what is older may be given up whatever mailbox it was in.
func (n *Node) LongestRestorable() expire.Window {
	set := policySet(n.opts.Config)
	return set.Longest()
}

func (n *Node) expirer() *expire.Expirer {
	c := n.opts.Config
	return &expire.Expirer{Store: n.store, Set: policySet(c), Leads: n.leadsAccount, Batch: c.Expire.Batch, Rate: c.Expire.Rate}
}

// leadsAccount says whether this node is the primary of an account.
func (n *Node) leadsAccount(account string) bool {
	return n.shards[mailstore.ShardOf(account, len(n.shards))].writer.Load() != nil
}

// openExpiring begins to run the policies every so often, if there are any.
func (n *Node) openExpiring() {
	every := n.opts.Config.Expire.Every.Std()
	set := policySet(n.opts.Config)
	if every == 0 || !set.Limiting() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.expiring.cancel = cancel
	n.expiring.done.Go(func() {
		for wait := min(every, expireSoon); ; wait = every {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			if err := n.expireNow(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn("policies could not expunge all that is over their limits; trying again later", "error", err)
			}
		}
	})
}

// closeExpiring ends that, before the store goes.
func (n *Node) closeExpiring() {
	if n.expiring.cancel != nil {
		n.expiring.cancel()
		n.expiring.done.Wait()
	}
}

// expireNow runs the policies, unless they run already.
func (n *Node) expireNow(ctx context.Context) error {
	if !n.expiring.running.TryLock() {
		return nil
	}
	defer n.expiring.running.Unlock()
	begin := time.Now()
	sum, err := n.expirer().Run(ctx, expire.Query{}, nil, nil)
	if sum.Messages > 0 {
		n.log.Info("policies expunged messages", "mailboxes", sum.Mailboxes, "messages", sum.Messages, "bytes", sum.Bytes, "took", time.Since(begin))
	}
	return err
}

func (n *Node) handleExpire(w http.ResponseWriter, r *http.Request) {
	var req control.ExpireRequest
	err := decode(w, r, &req)
	q := expire.Query{Account: req.Account, DryRun: req.DryRun}
	if err == nil && req.Account != "" {
		q.Account, err = n.canonical(req.Account)
	}
	if err == nil {
		err = n.mayExpire(r.Context(), q)
	}
	if err == nil && !req.DryRun {
		if !n.expiring.running.TryLock() {
			err = &control.Error{Code: control.CodeUnavailable, Message: "the policies are being run already", Hint: "try again when they are done"}
		} else {
			defer n.expiring.running.Unlock()
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	out := newLines(w)
	res := control.ExpireResult{DryRun: req.DryRun}
	for _, p := range n.opts.Config.Policies {
		if p.MaxAge > 0 || p.MaxMessages > 0 || p.MaxSize > 0 {
			res.Policies++
		}
	}
	begin := time.Now()
	x := n.expirer()
	if req.DryRun {
		x.Leads = nil // looking harms nobody
	}
	sum, err := x.Run(r.Context(), q, func(f expire.Found) error {
		return out.item(control.Expired{
			Account: f.Account, Mailbox: f.Mailbox, Policy: f.Policy, Reason: f.Reason, Messages: f.Messages, Bytes: f.Bytes,
		})
	}, func(p expire.Progress) {
		out.progress(control.Progress{What: "expire", Done: uint64(p.Accounts), Total: uint64(p.OfAccounts), Unit: "accounts"})
	})
	res.Mailboxes, res.Messages, res.Bytes, res.Seconds = sum.Mailboxes, sum.Messages, sum.Bytes, time.Since(begin).Seconds()
	out.end(res, err)
}

// mayExpire refuses what this node cannot do.
func (n *Node) mayExpire(ctx context.Context, q expire.Query) error {
	if q.Account != "" {
		if _, err := n.store.Account(ctx, q.Account); err != nil {
			return err
		}
	}
	leads := q.DryRun
	for _, s := range n.shards {
		leads = leads || s.writer.Load() != nil
	}
	if leads && (q.DryRun || q.Account == "" || n.leadsAccount(q.Account)) {
		return nil
	}
	return &control.Error{
		Code: control.CodeNotPrimary, Message: "this node is not the primary, and only that one runs policies", Hint: "see syncctl status for the primary",
	}
}
