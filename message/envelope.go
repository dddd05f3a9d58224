package message

// Indices of the address lists of an envelope, in IMAP's order.
const (
	listFrom = iota
	listSender
	listReplyTo
	listTo
	listCc
	listBcc
	listCount
)

// envelope collects what ENVELOPE shows of a header.
type envelope struct {
	date, subject, inReplyTo, messageID []byte // nil: no such field
	lists                               [listCount]addressList
}

// appendEnvelope appends the ENVELOPE of a header (RFC 9051, section 7.5.2), of
// about max bytes at most. truncated tells that addresses were left out.
func appendEnvelope(dst, header []byte, max int) (out []byte, truncated bool) {
	var e envelope
	h := headerReader{rest: header}
	for f, ok := h.next(); ok; f, ok = h.next() {
		e.add(f, max)
	}
	for i := range e.lists {
		truncated = truncated || e.lists[i].truncated
	}
	for _, empty := range []int{listSender, listReplyTo} {
		if len(e.lists[empty].wire) == 0 {
			e.lists[empty] = e.lists[listFrom]
		}
	}
	maxText := max / 32
	dst = append(dst, '(')
	dst = append(appendEnvelopeText(dst, e.date, maxText), ' ')
	dst = append(appendEnvelopeText(dst, e.subject, maxText), ' ')
	for i := range e.lists {
		if len(e.lists[i].wire) == 0 {
			dst = append(dst, "NIL "...)
			continue
		}
		dst = append(dst, '(')
		dst = append(dst, e.lists[i].wire...)
		dst = append(dst, ") "...)
	}
	dst = append(appendEnvelopeText(dst, e.inReplyTo, maxText), ' ')
	dst = appendEnvelopeText(dst, e.messageID, maxText)
	return append(dst, ')'), truncated
}

func appendEnvelopeText(dst, text []byte, max int) []byte {
	if max <= 0 {
		text = nil
	}
	return appendNString(dst, cut(text, max))
}

// add takes field f into account. The shares of max are such that all lists and
// texts together, with From standing in for Sender and Reply-To, keep to it.
func (e *envelope) add(f field, max int) {
	switch {
	case f.is("Date"):
		setFirst(&e.date, f.value)
	case f.is("Subject"):
		setFirst(&e.subject, f.value)
	case f.is("In-Reply-To"):
		setFirst(&e.inReplyTo, f.value)
	case f.is("Message-ID"):
		setFirst(&e.messageID, f.value)
	case f.is("From"):
		e.lists[listFrom].parse(f.value, max/16)
	case f.is("Sender"):
		e.lists[listSender].parse(f.value, max/16)
	case f.is("Reply-To"):
		e.lists[listReplyTo].parse(f.value, max/16)
	case f.is("To"):
		e.lists[listTo].parse(f.value, max/4)
	case f.is("Cc"):
		e.lists[listCc].parse(f.value, max/4)
	case f.is("Bcc"):
		e.lists[listBcc].parse(f.value, max/8)
	}
}

// setFirst keeps the value of the first of repeated fields.
func setFirst(dst *[]byte, value []byte) {
	if *dst == nil {
		*dst = unfold(cut(value, maxStructuredBytes))
	}
}
