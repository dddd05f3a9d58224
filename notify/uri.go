package notify

import (
	"strconv"
	"strings"
)

// serverURL is the IMAP URL of an account on a server (RFC 5092, section 3); of the server alone when there is no account.
func serverURL(host, account string) string {
	var b strings.Builder
	writeServer(&b, host, account)
	return b.String()
}

// mailboxURL is the IMAP URL of a mailbox (RFC 5092, section 4); without UIDVALIDITY when that is 0, and of a message when uid is not 0
// (section 5).
func mailboxURL(host, account, name string, uidValidity, uid uint32) string {
	var b strings.Builder
	b.Grow(64 + len(host) + len(account) + len(name))
	writeServer(&b, host, account)
	escape(&b, name, ":@/")
	if uidValidity > 0 {
		b.WriteString(";UIDVALIDITY=")
		b.WriteString(strconv.FormatUint(uint64(uidValidity), 10))
	}
	if uid > 0 {
		b.WriteString("/;UID=")
		b.WriteString(strconv.FormatUint(uint64(uid), 10))
	}
	return b.String()
}

func writeServer(b *strings.Builder, host, account string) {
	b.WriteString("imap://")
	if account != "" {
		escape(b, account, "")
		b.WriteByte('@')
	}
	b.WriteString(host)
	b.WriteByte('/')
}

// achars is what stands for itself in a user name and in a mailbox name beside letters and digits (RFC 5092, section 11: achar).
const achars = "-._~!$'()*+,&="

// escape writes s in percent-encoding but for achar and what is in more.
func escape(b *strings.Builder, s, more string) {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(achars, c) >= 0 || strings.IndexByte(more, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
}
