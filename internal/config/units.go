package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Size is a number of bytes. In the file it is "64KiB", "50MB", "1GiB", "512B", or a bare number of bytes: units with an i are
// powers of 1024, the others of 1000.
type Size int64

// sizeUnits are in the order in which String tries them.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// UnmarshalText reads a size; units are case-insensitive.
func (s *Size) UnmarshalText(text []byte) error {
	str := strings.TrimSpace(string(text))
	digits := strings.TrimRight(str, "KMGTBkmgtbi \t")
	unit := strings.TrimSpace(str[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf(`%q is not a size: want a whole number and a unit, such as "50MiB" or "25MB"`, str)
	}
	if unit == "" {
		*s = Size(n)
		return nil
	}
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) {
			if n > math.MaxInt64/u.bytes {
				return fmt.Errorf("%q is too large a size", str)
			}
			*s = Size(n * u.bytes)
			return nil
		}
	}
	return fmt.Errorf(`%q is not a size: unknown unit %q: want B, kB, MB, GB, TB, KiB, MiB, GiB or TiB`, str, unit)
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the size exactly, in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// Duration is a length of time. In the file it is "30s", "1h30m", or "7d": as time.ParseDuration reads it, with days before.
type Duration time.Duration

// UnmarshalText reads a duration, which can't be negative.
func (d *Duration) UnmarshalText(text []byte) error {
	str := strings.TrimSpace(string(text))
	bad := fmt.Errorf(`%q is not a duration: want a number and a unit, such as "30s", "15m", "12h" or "7d"`, str)
	var total time.Duration
	rest := str
	if days, after, ok := strings.Cut(str, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/day) {
			return bad
		}
		total, rest = time.Duration(n)*day, after
		if rest == "" {
			*d = Duration(total)
			return nil
		}
	}
	parsed, err := time.ParseDuration(rest)
	if err != nil || parsed < 0 || total+parsed < total || (parsed == 0 && rest == "0") {
		return bad
	}
	*d = Duration(total + parsed)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the duration without parts that are zero: "30m", not "30m0s".
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	rest := time.Duration(d)
	var b strings.Builder
	if rest >= day {
		fmt.Fprintf(&b, "%dd", rest/day)
		rest %= day
	}
	if rest > 0 {
		s := rest.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		b.WriteString(s)
	}
	return b.String()
}

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }
