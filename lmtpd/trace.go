package lmtpd

import (
	"fmt"
	"net/netip"
	"time"
)

// dateFormat is the date-time of RFC 5322, section 3.3.
const dateFormat = "Mon, 2 Jan 2006 15:04:05 -0700"

// trace makes the fields that are put on top of the transaction's message (RFC 5321, section 4.4): the same for all its
// recipients, and so without "for".
func (c *conn) trace() []byte {
	return traceFields(c.tx.from.String(), received{
		helo: c.helo, remote: c.remote, by: c.srv.opts.Hostname, id: c.tx.id, date: c.srv.opts.Now(),
		utf8: c.tx.utf8, tls: c.tls, auth: c.account != "",
	})
}

// received is what a Received field tells.
type received struct {
	helo            string
	remote          netip.Addr // invalid for a unix socket
	by              string
	id              string
	date            time.Time
	utf8, tls, auth bool
}

// traceFields writes Return-Path and Received.
func traceFields(from string, r received) []byte {
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nReceived: from %s (%s)\r\n\tby %s (Angarium) with %s\r\n\tid %s; %s\r\n",
		from, r.helo, r.client(), r.by, r.protocol(), r.id, r.date.Format(dateFormat))
}

// client is the TCP-info of RFC 5321, section 4.4.
func (r received) client() string {
	switch {
	case !r.remote.IsValid():
		return "unix socket"
	case r.remote.Is6():
		return "[IPv6:" + r.remote.String() + "]"
	}
	return "[" + r.remote.String() + "]"
}

// protocol is a name from the registry of mail transmission types (RFC 3848; RFC 6531, section 4.3).
func (r received) protocol() string {
	name := "LMTP"
	if r.utf8 {
		name = "UTF8LMTP"
	}
	if r.tls {
		name += "S"
	}
	if r.auth {
		name += "A"
	}
	return name
}
