package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"
)

// timeLayout is how people are shown times, in UTC as in the log and in --json.
const timeLayout = "2006-01-02T15:04:05Z"

// printJSON prints one value as JSON on one line.
func (g *globals) printJSON(v any) error { return json.NewEncoder(g.stdout).Encode(v) }

func (g *globals) printf(format string, a ...any) error {
	_, err := fmt.Fprintf(g.stdout, format, a...)
	return err
}

// table is columns for people. Its cells are made plain.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, headings ...string) *table {
	t := &table{tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)}
	cells := make([]any, len(headings))
	for i, h := range headings {
		cells[i] = h
	}
	t.row(cells...)
	return t
}

func (t *table) row(cells ...any) {
	text := make([]string, len(cells))
	for i, c := range cells {
		if text[i] = plain(fmt.Sprint(c)); text[i] == "" {
			text[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(text, "\t")) // kept in memory until flush, which tells errors
}

func (t *table) flush() error { return t.w.Flush() }

// plain escapes what would steer a terminal: names of mailboxes and texts of events come from clients.
func plain(s string) string {
	clean := func(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if clean(r) {
			b.WriteString(s[:n])
		} else {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(timeLayout)
}

// bytesText is a size for people.
func bytesText(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < len("KMGTPE")-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGTPE"[unit])
}

// count is a number with its noun in the singular or the plural.
func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	switch {
	case strings.HasSuffix(noun, "x"):
		noun += "es"
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return strconv.FormatUint(n, 10) + " " + noun
}
