package restore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"angarium/eventlog"
)

// Point is a point in the history of a store: a position of the log, or a time.
type Point struct {
	Position eventlog.Position // used when Time is zero
	Time     time.Time
}

// String gives the point as ParsePoint reads it.
func (p Point) String() string {
	if p.Time.IsZero() {
		return strconv.FormatUint(uint64(p.Position), 10)
	}
	return p.Time.Format(time.RFC3339Nano)
}

// ErrPoint says that a text is no point.
var ErrPoint = errors.New("no point in time")

// layouts are the forms of local time.
var layouts = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"}

// ParsePoint reads a point:
//
//	1234                            the log position
//	2026-01-31T14:00:00+01:00       RFC 3339
//	2026-01-31 14:00, 2026-01-31    local time; a date alone is its beginning
//	14:00, today 14:00, yesterday   local time; a day alone is its beginning
//	-90m, -2h, -3d, -1w, -1d12h     before now
//	now
//
// Local is in loc. A point that lies after now is refused, as is a time of day that a change of the clock leaves out.
func ParsePoint(text string, now time.Time, loc *time.Location) (Point, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseUint(text, 10, 63); err == nil {
		return Point{Position: eventlog.Position(n)}, nil
	}
	t, ok := parseTime(text, now, loc)
	if !ok {
		return Point{}, fmt.Errorf("%w: %q (hint: a log position, RFC 3339, \"2026-01-31 14:00\", \"yesterday 14:00\" or \"-2h\")", ErrPoint, text)
	}
	if t.After(now) {
		return Point{}, fmt.Errorf("%w: %q is %s, which has not come yet", ErrPoint, text, t.Format(time.RFC3339))
	}
	return Point{Time: t}, nil
}

func parseTime(text string, now time.Time, loc *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, true
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t, t.Format(layout) == text
		}
	}
	if text == "now" {
		return now, true
	}
	if ago, ok := strings.CutPrefix(text, "-"); ok {
		d, ok := parseAgo(ago)
		return now.Add(-d), ok
	}
	return parseDay(text, now.In(loc))
}

// parseDay reads a time of day, with or without a day before it.
func parseDay(text string, now time.Time) (time.Time, bool) {
	day, clock, two := strings.Cut(text, " ")
	days := 0
	switch {
	case day == "yesterday":
		days = -1
	case day == "today":
	case !two:
		day, clock, two = "today", text, true
	default:
		return time.Time{}, false
	}
	hour, minute, second := 0, 0, 0
	if two {
		var c time.Time
		var err error
		for _, layout := range []string{"15:04", "15:04:05"} {
			if c, err = time.Parse(layout, strings.TrimSpace(clock)); err == nil {
				break
			}
		}
		if err != nil {
			return time.Time{}, false
		}
		hour, minute, second = c.Clock()
	}
	t := time.Date(now.Year(), now.Month(), now.Day()+days, hour, minute, second, 0, now.Location())
	return t, t.Hour() == hour && t.Minute() == minute
}

// maxAgo bounds how far back a relative point can lie.
const maxAgo = 200 * 365 * 24 * time.Hour

// parseAgo reads a duration with days and weeks, as "1d12h".
func parseAgo(text string) (time.Duration, bool) {
	var sum time.Duration
	for text != "" {
		digits := 0
		for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(text[:digits], 10, 32)
		if err != nil || digits == len(text) {
			return 0, false
		}
		unit, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[text[digits]]
		if !ok || n > int64(maxAgo/unit) {
			return 0, false
		}
		if sum += time.Duration(n) * unit; sum > maxAgo {
			return 0, false
		}
		text = text[digits+1:]
	}
	return sum, sum > 0
}
