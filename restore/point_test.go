package restore

import (
	"testing"
	"time"
)

func TestPoints(t *testing.T) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, loc)
	for text, want := range map[string]string{
		"1234":                      "1234",
		"2026-03-28T10:00:00Z":      "2026-03-28T10:00:00Z",
		"2026-03-28T10:00:00+05:00": "2026-03-28T05:00:00Z",
		"2026-03-28 10:00":          "2026-03-28T09:00:00Z",
		"2026-03-28T10:00:30":       "2026-03-28T09:00:30Z",
		"2026-03-28":                "2026-03-27T23:00:00Z",
		"-2h":                       "2026-03-29T08:00:00Z",
		"-1d12h":                    "2026-03-27T22:00:00Z",
		"-1w":                       "2026-03-22T10:00:00Z",
		"yesterday":                 "2026-03-27T23:00:00Z",
		"yesterday 14:00":           "2026-03-28T13:00:00Z",
		"today 11:30":               "2026-03-29T09:30:00Z",
		"11:30":                     "2026-03-29T09:30:00Z",
		"now":                       "2026-03-29T10:00:00Z",
		"today 02:30":               "", // the clock was set from 2 to 3
		"2026-03-29 02:30":          "",
		"tomorrow":                  "",
		"13:00":                     "", // has not come yet
		"2027-01-01":                "",
		"-":                         "",
		"-2":                        "",
		"-h":                        "",
		"-99999999999w":             "",
		"-2147483647w":              "",
		"yesterday 25:00":           "",
		"":                          "",
		"99999999999999999999":      "",
	} {
		p, err := ParsePoint(text, now, loc)
		got := ""
		if err == nil && p.Time.IsZero() {
			got = p.String()
		} else if err == nil {
			got = p.Time.UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %q (%v), want %q", text, got, err, want)
		}
	}
}
