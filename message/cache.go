package message

// cachedNames are the header fields that are kept verbatim: those that clients ask
// for when they list a mailbox, in lower case. The position of a name is part of
// the encoding, at most 64 fit.
var cachedNames = [...]string{
	"date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc",
	"message-id", "in-reply-to", "references", "newsgroups", "priority",
	"x-priority", "importance", "content-type", "list-id", "list-post",
	"list-unsubscribe", "delivered-to", "return-path", "mime-version",
	"content-transfer-encoding", "disposition-notification-to", "x-msmail-priority",
	"x-ref", "mail-followup-to", "mail-reply-to", "auto-submitted", "followup-to",
	"x-k9mail-identity", "chat-version", "list-help",
	"x-universally-unique-identifier", "x-mozilla-draft-info",
}

// cachedIndex returns the position of a field in cachedNames, or -1.
func cachedIndex(f field) int {
	for i, name := range cachedNames {
		if f.is(name) {
			return i
		}
	}
	return -1
}

// cacheFields returns the fields of a header that are kept, and as bits those
// of which one had no room.
func cacheFields(header []byte) (fields []byte, omitted uint64) {
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		i := cachedIndex(f)
		switch {
		case i < 0:
		case len(fields)+len(f.raw)+len(crlf) > MaxCachedHeaderBytes:
			omitted |= 1 << i
		default:
			fields = appendField(fields, f.raw)
		}
	}
	return fields, omitted
}

// cachedFields answers HEADER.FIELDS from what cacheFields returned.
func cachedFields(fields []byte, omitted uint64, names []string) (block []byte, ok bool) {
	for _, name := range names {
		i := cachedIndex(field{name: []byte(name)})
		if i < 0 || omitted&(1<<i) != 0 {
			return nil, false
		}
	}
	return HeaderFields(fields, names), true
}

// CachedHeaderFields returns what HeaderFields would for the header of the
// message, without needing the message. ok is false if one of names isn't kept, or
// was too long to be.
func (s *Structure) CachedHeaderFields(names []string) (block []byte, ok bool) {
	return cachedFields(s.fields, s.omitted, names)
}
