package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"angarium/internal/control"
	"angarium/notify"
	"angarium/notify/bus"
)

func (n *Node) notifyHandlers(mux *http.ServeMux) {
	mux.HandleFunc("GET "+control.PathNotify, n.handleNotify)
	mux.HandleFunc("POST "+control.PathWatch, n.handleWatch)
	mux.HandleFunc("GET "+control.PathConsumers, n.handleConsumers)
	mux.HandleFunc("POST "+control.PathConsumers, n.handleAddConsumer)
	mux.HandleFunc("DELETE "+control.PathConsumer, n.handleRemoveConsumer)
}

func (n *Node) handleNotify(w http.ResponseWriter, _ *http.Request) {
	st := control.NotifyStatus{Sinks: []control.SinkStatus{}}
	if no := n.notification; no != nil {
		if no.server != nil {
			st.Address, st.Connected = no.server.Addr(), no.server.Consumers()
		}
		for _, s := range no.notifier.Status() {
			one := control.SinkStatus{
				Name: s.Name, Kind: s.Kind, State: s.State, Error: s.Error, Positions: map[string]uint64{}, Behind: s.Behind,
				Delivered: s.Delivered, DeadLettered: s.DeadLettered, Lost: s.Lost, Time: s.Time,
			}
			for shard, at := range s.Places {
				one.Positions[strconv.Itoa(shard)] = uint64(at.Position)
			}
			st.Sinks = append(st.Sinks, one)
		}
	}
	answer(w, st, nil)
}

func (n *Node) handleWatch(w http.ResponseWriter, r *http.Request) {
	var req control.WatchRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	if n.notification == nil {
		fail(w, &control.Error{Code: control.CodeUnavailable, Message: "no server runs on this data directory", Hint: "events are there while the server runs"})
		return
	}
	opts, err := n.watchOptions(r.Context(), req)
	if err != nil {
		fail(w, &control.Error{Code: control.CodeUsage, Message: err.Error()})
		return
	}
	out := newLines(w)
	out.enc.SetEscapeHTML(false) // an event has the same bytes wherever it comes from
	out.flush()                  // the headers: the tool knows that it watches
	err = n.notification.notifier.Watch(r.Context(), opts, func(e *notify.Event) error {
		out.write(control.Update{Item: json.RawMessage(e.JSON())})
		out.flush()
		return r.Context().Err()
	})
	var gone *notify.HistoryError
	if errors.As(err, &gone) {
		err = &control.Error{
			Code: control.CodeHistory, Message: fmt.Sprintf("history no longer here; resume from %d", gone.First),
			Hint: fmt.Sprintf("nothing of shard %d before position %d is in the log or archived", gone.Shard, gone.First),
		}
	}
	out.end(struct{}{}, err)
}

func (n *Node) handleConsumers(w http.ResponseWriter, _ *http.Request) {
	keys, err := n.notifyKeys()
	list := control.ConsumerList{Consumers: []control.Consumer{}}
	if err == nil {
		for _, c := range keys.Consumers() {
			list.Consumers = append(list.Consumers, control.Consumer{Name: c.Name, Account: c.Account, Created: c.Created})
		}
	}
	answer(w, list, err)
}

func (n *Node) handleAddConsumer(w http.ResponseWriter, r *http.Request) {
	var req control.NewConsumer
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	if req.Account != "" {
		name, err := n.canonical(req.Account)
		if err == nil {
			_, err = n.store.Account(r.Context(), name)
		}
		if err != nil {
			fail(w, err)
			return
		}
		req.Account = name
	}
	keys, err := n.notifyKeys()
	var creds []byte
	if err == nil {
		creds, err = keys.Add(req.Name, req.Account, time.Now())
	}
	answer(w, control.Credentials{Name: req.Name, Account: req.Account, Creds: string(creds)}, consumerError(err))
}

func (n *Node) handleRemoveConsumer(w http.ResponseWriter, r *http.Request) {
	keys, err := n.notifyKeys()
	if err == nil {
		err = keys.Remove(r.PathValue("name"), time.Now())
	}
	answer(w, struct{}{}, consumerError(err))
}

func consumerError(err error) error {
	code := ""
	switch {
	case errors.Is(err, bus.ErrConsumerExists):
		code = control.CodeExists
	case errors.Is(err, bus.ErrNoConsumer):
		code = control.CodeNotFound
	case errors.Is(err, bus.ErrConsumerName):
		code = control.CodeUsage
	default:
		return err
	}
	return &control.Error{Code: code, Message: err.Error()}
}
