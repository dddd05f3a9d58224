package notify

import (
	"time"
)

// SessionInfo is what is told of a login or logout.
type SessionInfo struct {
	Account string
	Service string // "imap", "lmtp" …
	Session string // id of the session
	Client  string // network address of the client
	Server  string // network address that the client connected to
	Time    time.Time
}

// sessionEvent makes a Login or Logout (RFC 5423, section 4.4).
func sessionEvent(name Name, host string, i SessionInfo) *Event {
	e := &Event{
		Event: name, Schema: Schema, Timestamp: i.Time.UTC().Format(timestampForm), URI: serverURL(host, ""),
	}
	e.User, _ = clip(i.Account, maxShortText)
	e.Service, _ = clip(i.Service, maxShortText)
	e.SessionID, _ = clip(i.Session, maxShortText)
	e.ClientIP, e.ClientPort = splitAddress(i.Client)
	e.ServerDomain, e.ServerPort = splitAddress(i.Server)
	e.seal()
	return e
}

// SessionSink takes events of sessions, as far as it can: Session must not wait.
type SessionSink interface {
	Session(e *Event)
}
