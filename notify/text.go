package notify

import (
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"angarium/eventlog/event"
	"angarium/message"
)

// Bounds on what one event carries. What exceeds them is left out, and the parameter is named in "degraded".
const (
	maxName          = 4 << 10  // bytes of a mailbox name in a URL
	maxShortText     = 1 << 10  // bytes of a session id, service, account …
	maxFlagNames     = 16 << 10 // bytes
	maxEnvelope      = 32 << 10 // bytes
	maxBodyStructure = 64 << 10 // bytes
	maxMIDs          = 32       // Message-IDs in vnd.cmu.midset
	maxMID           = 998      // bytes of one, which is the length of a line (RFC 5322, section 2.1.1)
	maxUIDRanges     = 1024     // of one event: a set that has more is spread over several events
)

// noMID is what vnd.cmu.midset has for a message without Message-ID, as in Cyrus.
const noMID = "NIL"

// imapText makes a string of IMAP syntax. It cannot be cut without making it something else, so what is too long is left out; bytes that are
// not UTF-8 become U+FFFD. ok is false in both cases.
func imapText(b []byte, limit int) (s string, ok bool) {
	if len(b) > limit {
		return "", false
	}
	if utf8.Valid(b) {
		return string(b), true
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), false
}

// clip cuts s to at most limit bytes of valid UTF-8.
func clip(s string, limit int) (string, bool) {
	ok := true
	if !utf8.ValidString(s) {
		s, ok = strings.ToValidUTF8(s, "\uFFFD"), false
	}
	if len(s) <= limit {
		return s, ok
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit], false
}

const messageIDField = "Message-ID"

// messageID gives the Message-ID that is in a block of header fields, noMID when there is none. ok is false when it was cut, is not UTF-8, or, as when known is
// false, is not kept with the message.
func messageID(block []byte, known bool) (id string, ok bool) {
	if !known {
		return noMID, false
	}
	_, value, found := strings.Cut(string(block), ":")
	if !found {
		return noMID, true
	}
	ids := message.MessageIDs([]byte(value))
	if len(ids) == 0 {
		return noMID, true
	}
	id, ok = clip(ids[0], maxMID)
	return id, ok && utf8.ValidString(value) // what is not has been replaced in ids
}

// emailID names a message by its content (RFC 8474, section 5.1): "M" and the first 24 hex digits of its GUID, as Cyrus has it.
func emailID(guid event.GUID) string { return "M" + guid.String()[:24] }

// splitAddress splits a network address; what has no port is all host.
func splitAddress(addr string) (host string, port int) {
	h, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return h, 0
	}
	return h, int(n)
}

// spread cuts a set into sets of at most maxUIDRanges ranges.
func spread(set event.UIDSet) []event.UIDSet {
	var parts []event.UIDSet
	for len(set) > maxUIDRanges {
		parts = append(parts, set[:maxUIDRanges:maxUIDRanges])
		set = set[maxUIDRanges:]
	}
	return append(parts, set)
}
