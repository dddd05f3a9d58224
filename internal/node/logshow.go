package node

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/internal/control"
)

// logEvents describes the events of an envelope.
func logEvents(shard int, env *eventlog.Envelope, keep func(event.Entry) bool) ([]control.LogEvent, error) {
	var list []control.LogEvent
	for i, entry := range env.Entries {
		if !keep(entry) {
			continue
		}
		body, err := json.Marshal(describe(reflect.ValueOf(entry.Event).Elem()))
		if err != nil {
			return nil, fmt.Errorf("describe event %d: %w", env.FirstIndex+uint64(i), err)
		}
		list = append(list, control.LogEvent{
			Shard: shard, Position: uint64(env.Position), Index: env.FirstIndex + uint64(i), Epoch: env.Epoch,
			Time: time.UnixMicro(entry.Meta.Time).UTC(), Kind: entry.Event.Kind().String(), Account: entry.Event.AccountName(),
			Actor: entry.Meta.Actor, Service: entry.Meta.Service, Session: entry.Meta.Session, Client: entry.Meta.Client, Event: body,
		})
	}
	return list, nil
}

// describe turns an event into what is shown of it: fields by their names, ids and sets in their text forms, of bytes only the
// length. Credentials are not shown.
func describe(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case event.UIDSet:
		return x.String()
	case event.Credential:
		return map[string]any{"iterations": x.Iterations}
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		m := map[string]any{}
		for i := range v.NumField() {
			m[strings.ToLower(v.Type().Field(i).Name)] = describe(v.Field(i))
		}
		return m
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return map[string]any{"bytes": v.Len()}
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, describe(v.Index(i)))
		}
		return list
	case reflect.Array:
		return hex.EncodeToString(v.Bytes())
	}
	return v.Interface()
}

// ShowAside gives the events of a file of envelopes that were set aside (eventlog.WriteAside), as the log itself is shown. account and kind,
// when not empty, choose among them. Its end is an error of fn, or what is wrong with the file.
func ShowAside(path string, shard int, account, kind string, fn func(control.LogEvent) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("show what was set aside: %w", err)
	}
	defer f.Close()
	keep := func(e event.Entry) bool {
		return (account == "" || e.Event.AccountName() == account) && (kind == "" || e.Event.Kind().String() == kind)
	}
	for env, err := range eventlog.ReadAside(f) {
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		list, err := logEvents(shard, &env, keep)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}
