package imapd

import "context"

// reply is the tagged OK of a command: OK [code] text. The code has no brackets; "" means none.
type reply struct{ code, text string }

// handler carries out a command. It is called with the reader right behind the command's name: it parses the space and the
// arguments that follow, up to and including CRLF, before it acts. It writes untagged responses with s.enc and returns the tagged OK.
// What an error becomes is said by statusOf.
type handler func(s *session, ctx context.Context) (reply, error)

// states is a set of the states of a connection (RFC 9051, section 3).
type states uint8

const (
	notAuthenticated states = 1 << iota
	authenticated           // and no mailbox selected
	selectedState

	anyState = notAuthenticated | authenticated | selectedState
	loggedIn = authenticated | selectedState
)

// updates says which changes of the selected mailbox may be told before a command's tagged reply.
type updates uint8

const (
	updatesAll       updates = iota // EXPUNGE too
	updatesNoExpunge                // message numbers in the command, or its responses, must stay valid (RFC 9051, section 7.5.1)
	updatesNone                     // the handler sees to it, or there is nothing to tell
)

// command is a row of the command table.
type command struct {
	name    string
	states  states
	updates updates
	run     handler
}

// commandTable gives the commands by their names.
func commandTable() map[string]command {
	table := map[string]command{}
	for _, list := range [][]command{sessionCommands(), mailboxCommands(), selectedCommands()} {
		for _, c := range list {
			table[c.name] = c
		}
	}
	return table
}

func sessionCommands() []command {
	return []command{
		{"CAPABILITY", anyState, updatesAll, handleCapability},
		{"NOOP", anyState, updatesAll, handleNoop},
		{"LOGOUT", anyState, updatesNone, handleLogout},
		{"ID", anyState, updatesAll, handleID},
		{"STARTTLS", notAuthenticated, updatesNone, handleStartTLS},
		{"LOGIN", notAuthenticated, updatesNone, handleLogin},
		{"AUTHENTICATE", notAuthenticated, updatesNone, handleAuthenticate},
		{"ENABLE", loggedIn, updatesAll, handleEnable},
		{"IDLE", loggedIn, updatesAll, handleIdle},
		{"NOTIFY", loggedIn, updatesAll, handleNotify},
		{"CHECK", selectedState, updatesAll, handleNoop},
	}
}

func mailboxCommands() []command {
	return []command{
		{"NAMESPACE", loggedIn, updatesAll, handleNamespace},
		{"CREATE", loggedIn, updatesAll, handleCreate},
		{"DELETE", loggedIn, updatesAll, handleDelete},
		{"RENAME", loggedIn, updatesAll, handleRename},
		{"SUBSCRIBE", loggedIn, updatesAll, handleSubscribe},
		{"UNSUBSCRIBE", loggedIn, updatesAll, handleUnsubscribe},
		{"LIST", loggedIn, updatesAll, handleList},
		{"LSUB", loggedIn, updatesAll, handleLsub},
		{"STATUS", loggedIn, updatesAll, handleStatus},
		{"APPEND", loggedIn, updatesAll, handleAppend},
	}
}
