package message

import (
	"bytes"
	"strings"
	"time"
)

// sentDate reads the first Date field of a header.
func sentDate(header []byte) SentDate {
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		if f.is("Date") {
			return ParseDate(f.value)
		}
	}
	return SentDate{}
}

// ParseDate reads the value of a Date field (RFC 5322, sections 3.3 and 4.3). It
// also takes the order of asctime, and a date without time or zone, which are then
// midnight and UTC.
func ParseDate(value []byte) SentDate {
	var d dateFields
	b := cut(value, maxValueBytes)
	for pos := skipCFWS(b, 0); pos < len(b); pos = skipCFWS(b, pos) {
		if b[pos] == ',' {
			pos++
			continue
		}
		end := pos
		for end < len(b) && !isSpace(b[end]) && b[end] != '(' && b[end] != ',' {
			end++
		}
		if word := b[pos:end]; word[0] == '-' {
			d.add(word)
		} else {
			for part := range bytes.SplitSeq(word, []byte("-")) { // 1-Jan-2020
				d.add(part)
			}
		}
		pos = end
	}
	return d.date()
}

// dateFields collects the words of a date, whatever their order.
type dateFields struct {
	day, month, year int // day and month are 0 while unknown
	hour, min, sec   int
	haveYear         bool
	offset           int // minutes east of UTC
	bad              bool
}

func (d *dateFields) add(word []byte) {
	switch {
	case len(word) == 0:
	case bytes.IndexByte(word, ':') > 0:
		d.addTime(word)
	case word[0] == '+' || word[0] == '-':
		d.addOffset(word)
	case word[0] >= '0' && word[0] <= '9':
		d.addNumber(word)
	default:
		d.addName(strings.ToLower(string(word)))
	}
}

func (d *dateFields) addTime(word []byte) {
	parts := bytes.Split(word, []byte(":"))
	for len(parts) < 3 {
		parts = append(parts, []byte("0"))
	}
	var ok [3]bool
	d.hour, ok[0] = number(parts[0])
	d.min, ok[1] = number(parts[1])
	seconds, _, _ := bytes.Cut(parts[2], []byte("."))
	d.sec, ok[2] = number(seconds)
	valid := len(parts) == 3 && ok[0] && ok[1] && ok[2] && d.hour < 24 && d.min < 60 && d.sec <= 60
	d.bad = d.bad || !valid
}

func (d *dateFields) addOffset(word []byte) {
	n, ok := number(bytes.ReplaceAll(word[1:], []byte(":"), nil))
	if !ok || n > 9959 || n%100 >= 60 {
		return
	}
	d.offset = n/100*60 + n%100
	if word[0] == '-' {
		d.offset = -d.offset
	}
}

func (d *dateFields) addNumber(word []byte) {
	n, ok := number(word)
	switch {
	case !ok:
		d.bad = true
	case d.day == 0 && len(word) <= 2:
		d.day = n
	case !d.haveYear:
		d.haveYear, d.year = true, n
		if len(word) == 2 && n < 50 { // RFC 5322, section 4.3
			d.year += 2000
		} else if len(word) <= 3 {
			d.year += 1900
		}
	}
}

const monthNames = "janfebmaraprmayjunjulaugsepoctnovdec"

func (d *dateFields) addName(name string) {
	if len(name) >= 3 && d.month == 0 {
		if i := strings.Index(monthNames, name[:3]); i >= 0 && i%3 == 0 {
			d.month = i/3 + 1
			return
		}
	}
	switch name {
	case "est", "cdt":
		d.offset = -5 * 60
	case "edt":
		d.offset = -4 * 60
	case "cst", "mdt":
		d.offset = -6 * 60
	case "mst", "pdt":
		d.offset = -7 * 60
	case "pst":
		d.offset = -8 * 60
	}
}

func (d *dateFields) date() SentDate {
	if d.bad || d.month == 0 || d.day == 0 || !d.haveYear || d.year < 1900 || d.year > 9999 {
		return SentDate{}
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.min, d.sec, 0, time.UTC)
	if t.Day() != d.day && d.sec < 60 {
		return SentDate{} // 31 February
	}
	return SentDate{Unix: t.Unix() - int64(d.offset)*60, OffsetMinutes: d.offset, Valid: true}
}

// number reads up to four digits.
func number(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 4 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
