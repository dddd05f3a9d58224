package node

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"angarium/eventlog/event"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/restore"
)

func (n *Node) handleHistory(w http.ResponseWriter, r *http.Request) {
	var req control.HistoryRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	q, h, err := n.historyQuery(r.Context(), req)
	if err != nil {
		fail(w, restoreError(err))
		return
	}
	out := newLines(w)
	err = restore.List(r.Context(), h, q, func(e restore.Happened) error {
		u := e.Undone
		return out.item(control.HistoryEvent{Index: e.Index, UndoneEvent: control.UndoneEvent{
			Position: uint64(u.Position), Time: u.Time, Kind: u.Kind, Mailbox: u.Mailbox, Messages: u.Messages, Actor: u.Actor, Service: u.Service,
			Session: u.Session, Client: u.Client, Detail: u.Detail,
		}})
	})
	out.end(struct{}{}, restoreError(err))
}

// historyQuery reads a request.
func (n *Node) historyQuery(ctx context.Context, req control.HistoryRequest) (q restore.Query, h restore.History, err error) {
	if req.Account == "" {
		return q, h, &control.Error{Code: control.CodeUsage, Message: "a history is that of an account: name it"}
	}
	q.Mailbox = req.Mailbox
	if q.Account, err = n.canonical(req.Account); err != nil {
		return q, h, err
	}
	if err := readMessage(&q, req.Message); err != nil {
		return q, h, err
	}
	s := n.shards[mailstore.ShardOf(q.Account, len(n.shards))]
	if h, err = n.pasts(req.Archive).of(ctx, s); err != nil {
		return q, h, err
	}
	from, err := parsePoint(req.From, restore.Point{})
	if err != nil {
		return q, h, err
	}
	to, err := parsePoint(req.To, restore.Point{})
	if err != nil {
		return q, h, err
	}
	if req.From != "" {
		if q.From, err = h.Resolve(ctx, from); err != nil {
			return q, h, err
		}
		if !from.Time.IsZero() {
			q.From++ // what came after that time
		}
	}
	if req.To != "" {
		q.To, err = h.Resolve(ctx, to)
	}
	return q, h, err
}

// readMessage reads a GUID, a UID or a Message-ID.
func readMessage(q *restore.Query, text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if guid, err := event.ParseGUID(text); err == nil {
		q.GUID = guid
		return nil
	}
	if uid, err := strconv.ParseUint(text, 10, 32); err == nil {
		if q.Mailbox == "" {
			return &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("UID %d is that of a message in a mailbox: name it", uid)}
		}
		q.UID = uint32(uid)
		return nil
	}
	q.MessageID = text
	return nil
}

// parseUIDs reads a set of UIDs as "1:5,7".
func parseUIDs(text string) (event.UIDSet, error) {
	bad := &control.Error{Code: control.CodeUsage, Message: fmt.Sprintf("%q is no set of UIDs", text), Hint: `as "7" or "1:5,9"`}
	var set event.UIDSet
	for _, part := range strings.Split(text, ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), ":")
		a, err := strconv.ParseUint(first, 10, 32)
		b := a
		if err == nil && ranged {
			b, err = strconv.ParseUint(last, 10, 32)
		}
		if err != nil || a == 0 || b < a {
			return nil, bad
		}
		set = append(set, event.UIDRange{First: uint32(a), Last: uint32(b)})
	}
	return sortUIDs(set), nil
}

func (n *Node) handleRecall(w http.ResponseWriter, r *http.Request) {
	var req control.RecallRequest
	err := decode(w, r, &req)
	var res control.RecallResult
	if err == nil {
		res, err = n.recall(r.Context(), req)
	}
	answer(w, res, restoreError(err))
}

// recall takes a message out of every mailbox, or says where it is.
func (n *Node) recall(ctx context.Context, req control.RecallRequest) (control.RecallResult, error) {
	res := control.RecallResult{DryRun: req.DryRun, Found: []control.RecalledMessage{}}
	var accounts []string
	for _, a := range req.Accounts {
		name, err := n.canonical(a)
		if err != nil {
			return res, err
		}
		accounts = append(accounts, name)
	}
	found, err := restore.FindMessage(ctx, n.store, operator(), req.MessageID, accounts...)
	if err != nil {
		return res, err
	}
	for _, f := range found {
		res.Found = append(res.Found, control.RecalledMessage{Account: f.Account, Mailbox: f.Mailbox, UIDs: f.UIDs, Messages: f.Messages, GUIDs: f.GUIDs})
		res.Messages += f.Messages
	}
	if !req.DryRun {
		res.Messages, err = restore.Recall(ctx, n.store, operatorAs(req.By), found)
	}
	return res, err
}

// sortUIDs puts ranges into ascending order and joins those that touch.
func sortUIDs(set event.UIDSet) event.UIDSet {
	slices.SortFunc(set, func(a, b event.UIDRange) int { return cmp.Compare(a.First, b.First) })
	var out event.UIDSet
	for _, r := range set {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}
