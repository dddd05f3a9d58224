package imapd

import (
	"context"
	"strings"

	"angarium/internal/auth"
)

// capability is a row of the list of what the server can do. docs/imap.md repeats it.
type capability struct {
	name string
	rfc  string // where it is defined
	// when says on which connections it is told; nil: on all.
	when func(*session) bool
}

func beforeLogin(s *session) bool { return s.id.Account == "" }

func mechanism(name string) capability {
	rfc := map[string]string{auth.MechPlain: "4616", auth.MechScramSHA256: "7677"}[name]
	return capability{"AUTH=" + name, rfc, func(s *session) bool {
		return beforeLogin(s) && (s.mayShowPassword() || !auth.SendsPassword(name))
	}}
}

// capabilityTable lists the capabilities in the order in which they are told.
func capabilityTable() []capability {
	list := []capability{
		{"IMAP4rev1", "3501", nil},
		{"IMAP4rev2", "9051", nil},
		{"STARTTLS", "9051", func(s *session) bool { return beforeLogin(s) && s.mayStartTLS() }},
		{"LOGINDISABLED", "9051", func(s *session) bool { return beforeLogin(s) && !s.mayShowPassword() }},
	}
	for _, m := range auth.Mechanisms() {
		list = append(list, mechanism(m))
	}
	return append(list, []capability{
		{"SASL-IR", "4959", beforeLogin},
		{"LITERAL+", "7888", nil},
		{"ID", "2971", nil},
		{"ENABLE", "5161", nil},
		{"IDLE", "2177", nil},
		{"NAMESPACE", "2342", nil},
		{"UNSELECT", "3691", nil},
		{"UIDPLUS", "4315", nil},
		{"MULTIAPPEND", "3502", nil},
		{"APPENDLIMIT", "7889", nil},
		{"BINARY", "3516", nil},
		{"MOVE", "6851", nil},
		{"CHILDREN", "3348", nil},
		{"LIST-EXTENDED", "5258", nil},
		{"LIST-STATUS", "5819", nil},
		{"SPECIAL-USE", "6154", nil},
		{"CREATE-SPECIAL-USE", "6154", nil},
		{"STATUS=SIZE", "8438", nil},
		{"OBJECTID", "8474", nil},
		{"ESEARCH", "4731", nil},
		{"SEARCHRES", "5182", nil},
		{"CONDSTORE", "7162", nil},
		{"QRESYNC", "7162", nil},
		{"WITHIN", "5032", nil},
		{"SAVEDATE", "8514", nil},
		{"NOTIFY", "5465", nil},
	}...)
}

// capabilities gives what the session can use now, separated by spaces.
func (s *session) capabilities() string {
	var names []string
	for _, c := range s.srv.caps {
		if c.when != nil && !c.when(s) {
			continue
		}
		if c.name == "APPENDLIMIT" {
			names = append(names, "APPENDLIMIT="+s.appendLimit())
			continue
		}
		names = append(names, c.name)
	}
	return strings.Join(names, " ")
}

// mayShowPassword says whether a password may cross this connection.
func (s *session) mayShowPassword() bool {
	if s.tls {
		return true
	}
	switch s.srv.opts.Plaintext {
	case PlaintextAlways:
		return true
	case PlaintextLoopback:
		return !s.remote.IsValid() || s.remote.IsLoopback()
	}
	return false
}

func (s *session) mayStartTLS() bool { return !s.tls && s.srv.opts.TLS != nil }

func handleCapability(s *session, _ context.Context) (reply, error) {
	if err := s.r.CRLF(); err != nil {
		return reply{}, err
	}
	s.enc.Raw("* CAPABILITY ").Raw(s.capabilities()).CRLF()
	return reply{text: "Capabilities told"}, nil
}
