package lmtpd

import (
	"bytes"
	"strings"
)

func hasNUL(msg []byte) bool { return bytes.IndexByte(msg, 0) >= 0 }

// stripNUL removes the NUL octets from buf[from:], in place.
func stripNUL(buf []byte, from int) []byte {
	kept := buf[:from]
	for _, b := range buf[from:] {
		if b != 0 {
			kept = append(kept, b)
		}
	}
	return kept
}

// strayNewlines reports whether a message has a CR or LF that is not part of a CRLF, and by how many octets normalizeNewlines
// makes it longer at most.
func strayNewlines(msg []byte) (stray bool, extra int) {
	for len(msg) > 0 {
		end := bytes.IndexByte(msg, '\n')
		if end < 0 {
			return stray || bytes.IndexByte(msg, '\r') >= 0, extra
		}
		text := msg[:end]
		if end > 0 && msg[end-1] == '\r' {
			text = msg[:end-1]
		} else {
			stray = true
			extra++
		}
		stray = stray || bytes.IndexByte(text, '\r') >= 0
		msg = msg[end+1:]
	}
	return stray, extra
}

// normalizeNewlines makes each LF without CR in buf[from:] a CRLF and removes each CR without LF. It writes to a new buffer.
func normalizeNewlines(buf []byte, from, extra int) []byte {
	out := make([]byte, 0, len(buf)+extra)
	out = append(out, buf[:from]...)
	for rest := buf[from:]; len(rest) > 0; {
		next := bytes.IndexAny(rest, "\r\n")
		if next < 0 {
			return append(out, rest...)
		}
		out = append(out, rest[:next]...)
		switch {
		case rest[next] == '\n':
			out = append(out, '\r', '\n')
		case next+1 < len(rest) && rest[next+1] == '\n':
			out = append(out, '\r', '\n')
			next++
		}
		rest = rest[next+1:]
	}
	return out
}

// removeReturnPath removes the Return-Path fields from the header of the message buf[from:], in place and in one pass.
func removeReturnPath(buf []byte, from int) []byte {
	kept := from // what is before it stays
	for at := from; at < len(buf); {
		end := lineEnd(buf, at)
		line := buf[at:end]
		if len(line) == 1 && line[0] == '\n' || string(line) == "\r\n" {
			return keep(buf, kept, at, len(buf))
		}
		if !isReturnPath(line) {
			kept = move(buf, kept, at, end)
			at = end
			continue
		}
		for end < len(buf) && (buf[end] == ' ' || buf[end] == '\t') {
			end = lineEnd(buf, end)
		}
		at = end
	}
	return buf[:kept]
}

// lineEnd is the index after the line that begins at an index.
func lineEnd(buf []byte, at int) int {
	if i := bytes.IndexByte(buf[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(buf)
}

// move copies buf[at:end] down to an index and returns the index after it.
func move(buf []byte, to, at, end int) int {
	if to == at {
		return end
	}
	return to + copy(buf[to:], buf[at:end])
}

func keep(buf []byte, to, at, end int) []byte { return buf[:move(buf, to, at, end)] }

// isReturnPath reports whether a line begins a Return-Path field; white space before the colon is obsolete (RFC 5322, section 4.5).
func isReturnPath(line []byte) bool {
	const name = "return-path"
	if len(line) <= len(name) || !strings.EqualFold(string(line[:len(name)]), name) {
		return false
	}
	rest := bytes.TrimLeft(line[len(name):], " \t")
	return len(rest) > 0 && rest[0] == ':'
}
