package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"angarium/internal/control"
)

// maxValue bounds what people are shown of one value of an event, in bytes; --json shows all of it.
const maxValue = 120

// logLine is an event on one line for people.
func logLine(e control.LogEvent) string {
	account := e.Account
	if account == "" {
		account = "-"
	}
	line := fmt.Sprintf("%s %d:%d/%d %s %s by %s", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.Shard, e.Position, e.Index, e.Kind,
		account, actor(e))
	if fields := eventFields(e.Event); fields != "" {
		line += " " + fields
	}
	return plain(line)
}

// actor says who did something, and by which way.
func actor(e control.LogEvent) string {
	who := e.Actor
	if who == "" {
		who = "system"
	}
	if e.Service != "" && e.Service != who {
		who += "/" + e.Service
	}
	if e.Client != "" {
		who += " from " + e.Client
	}
	return who
}

// eventFields is what an event says as name=value. The account is left out: the line begins with it.
func eventFields(event json.RawMessage) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(event, &fields); err != nil {
		return shorten(string(event)) // of a kind that a newer node knows
	}
	delete(fields, "account")
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := string(fields[name])
		if value == "null" || value == `""` || value == "[]" {
			continue
		}
		parts = append(parts, name+"="+shorten(value))
	}
	return strings.Join(parts, " ")
}

// shorten cuts a text to maxValue bytes, between two characters.
func shorten(s string) string {
	if len(s) <= maxValue {
		return s
	}
	end := maxValue
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
