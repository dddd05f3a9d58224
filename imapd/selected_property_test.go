package imapd

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// mirror is what a client knows of its mailbox, from untagged responses alone.
type mirror struct {
	t       *rapid.T
	c       *rawClient
	name    string
	qresync bool
	list    []mirrored
}

// mirrored is a message as a client knows it; uid is 0 until it was told.
type mirrored struct {
	uid   uint32
	flags string // sorted, without \Recent
}

var (
	fetchUID = regexp.MustCompile(`[( ]UID (\d+)`)
	// numberCommand is a command during which no EXPUNGE may be sent.
	numberCommand = regexp.MustCompile("^(FETCH|STORE|SEARCH) ")
	fetchFlags    = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
)

// run sends a command, follows the untagged responses and returns the tagged one.
func (m *mirror) run(command string) (status string) {
	m.t.Helper()
	untagged, status := m.c.cmd(command)
	byNumber := numberCommand.MatchString(command)
	for _, l := range untagged {
		m.follow(l, byNumber, command)
	}
	return status
}

func (m *mirror) follow(line string, byNumber bool, command string) {
	m.t.Helper()
	word := strings.Fields(line)
	if word[1] == "VANISHED" {
		if byNumber || !m.qresync {
			m.t.Fatalf("%s: %s during %s", m.name, line, command)
		}
		gone := parseUIDs(m.c.t, word[2])
		left := len(m.list) - gone.Len()
		m.list = slices.DeleteFunc(m.list, func(x mirrored) bool { return gone.Contains(x.uid) })
		if left < 0 || len(m.list) > left && m.list[left].uid != 0 { // others were told by EXISTS alone
			m.t.Fatalf("%s: %s tells of messages that were not there", m.name, line)
		}
		m.list = m.list[:left]
		return
	}
	if len(word) < 3 {
		return
	}
	n, err := strconv.Atoi(word[1])
	if err != nil {
		return
	}
	if word[2] == "EXISTS" {
		if n < len(m.list) {
			m.t.Fatalf("%s: %s with %d messages", m.name, line, len(m.list))
		}
		m.list = append(m.list, make([]mirrored, n-len(m.list))...)
		return
	}
	if word[2] != "RECENT" && (n < 1 || n > len(m.list)) {
		m.t.Fatalf("%s: %s with %d messages", m.name, line, len(m.list))
	}
	switch word[2] {
	case "EXPUNGE":
		if byNumber || m.qresync {
			m.t.Fatalf("%s: %s during %s", m.name, line, command)
		}
		m.list = slices.Delete(m.list, n-1, n)
	case "FETCH":
		m.fetched(&m.list[n-1], line)
	}
}

func (m *mirror) fetched(x *mirrored, line string) {
	m.t.Helper()
	if uid := fetchUID.FindStringSubmatch(line); uid != nil {
		n, _ := strconv.ParseUint(uid[1], 10, 32)
		if x.uid != 0 && x.uid != uint32(n) {
			m.t.Fatalf("%s: UID was %d: %s", m.name, x.uid, line)
		}
		x.uid = uint32(n)
	}
	if flags := fetchFlags.FindStringSubmatch(line); flags != nil {
		x.flags = sortedFlags(strings.Fields(flags[1]))
	}
}

func sortedFlags(flags []string) string {
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == `\Recent` })
	slices.Sort(flags)
	return strings.Join(slices.Compact(flags), " ")
}

// learn asks for what came.
func (m *mirror) learn() {
	for i, x := range m.list {
		if x.uid == 0 {
			m.run(fmt.Sprintf("FETCH %d:* (UID FLAGS)", i+1))
			return
		}
	}
}

// store changes flags of a message. With .SILENT the client assumes that it was done: some do so at once, some when it is answered.
func (m *mirror) store(i int, op, flag string, silent, byUID, early bool) {
	x := &m.list[i]
	command := fmt.Sprintf("STORE %d %sFLAGS (%s)", i+1, op, flag)
	if byUID {
		command = fmt.Sprintf("UID STORE %d %sFLAGS (%s)", x.uid, op, flag)
	}
	if !silent {
		m.run(command)
		return
	}
	command = strings.Replace(command, "FLAGS", "FLAGS.SILENT", 1)
	assume := func(x *mirrored) {
		have := strings.Fields(x.flags)
		switch op {
		case "+":
			have = append(have, flag)
		case "-":
			have = slices.DeleteFunc(have, func(f string) bool { return f == flag })
		default:
			have = []string{flag}
		}
		x.flags = sortedFlags(have)
	}
	uid := x.uid
	if early {
		assume(x)
	}
	m.run(command)
	if i := slices.IndexFunc(m.list, func(x mirrored) bool { return x.uid == uid }); i >= 0 && !early {
		assume(&m.list[i])
	}
}

// act does something at random.
func (m *mirror) act(ts *testServer, box string) {
	t := m.t
	op := rapid.SampledFrom([]string{"append", "store", "store", "store", "expunge", "expunge", "move", "copy", "fetch", "seen", "search", "noop"}).Draw(t, "op")
	m.learn()
	switch {
	case op == "noop":
	case len(m.list) == 0:
		op = "append"
	case op == "append" && len(m.list) > 4: // few messages, so that sessions get in each other's way
		op = "expunge"
	}
	i := 0
	if len(m.list) > 0 {
		i = rapid.IntRange(0, len(m.list)-1).Draw(t, "i")
	}
	byUID := rapid.Bool().Draw(t, "byUID")
	number, prefix := fmt.Sprint(i+1), ""
	if byUID && len(m.list) > 0 {
		number, prefix = fmt.Sprint(m.list[i].uid), "UID "
	}
	switch op {
	case "append":
		for range rapid.IntRange(1, 2).Draw(t, "n") {
			ts.env.Append(m.c.t, "ann", box, testMessage(1))
		}
	case "store":
		flag := rapid.SampledFrom([]string{`\Deleted`, `\Deleted`, `\Seen`, "Work"}).Draw(t, "flag")
		m.store(i, rapid.SampledFrom([]string{"+", "+", "-", ""}).Draw(t, "storeOp"), flag, rapid.Bool().Draw(t, "silent"), byUID, rapid.Bool().Draw(t, "early"))
	case "expunge":
		if byUID {
			m.run("UID EXPUNGE " + number + ":*")
		} else {
			m.run("EXPUNGE")
		}
	case "move":
		m.run(prefix + "MOVE " + number + " " + rapid.SampledFrom([]string{"Sent", box}).Draw(t, "to"))
	case "copy":
		m.run(prefix + "COPY " + number + " " + rapid.SampledFrom([]string{"Sent", box}).Draw(t, "to"))
	case "fetch":
		m.run(prefix + "FETCH 1:* (FLAGS RFC822.SIZE)")
	case "seen":
		m.run(prefix + "FETCH " + number + " BODY[1]<0.1>")
	case "search":
		m.run(prefix + "SEARCH BODY body")
	case "noop":
		m.run("NOOP")
	}
}

// TestEveryClientSeesTheSameMailbox lets several sessions change a mailbox at random. What each knows from untagged responses must
// make sense at every step, and be what the store has in the end.
func TestEveryClientSeesTheSameMailbox(t *testing.T) {
	ts := newTestServer(t, func(o *Options) { o.Limits = Limits{SessionsPerAccount: 10_000, ConnectionsPerAddress: 10_000} })
	boxes := 0
	rapid.Check(t, func(rt *rapid.T) {
		boxes++
		box := fmt.Sprintf("box%d", boxes)
		if _, err := ts.env.Store.CreateMailbox(context.Background(), storetest.User("ann"), "ann", mailstore.NewMailbox{Name: box}); err != nil {
			t.Fatal(err)
		}
		var sessions []*mirror
		for i, enable := range []string{"", "CONDSTORE", "QRESYNC", "IMAP4rev2"} {
			m := &mirror{t: rt, c: ts.login(t, "ann"), name: fmt.Sprintf("%d(%s)", i, enable), qresync: enable == "QRESYNC"}
			if enable != "" {
				m.run("ENABLE " + enable)
			}
			m.run("SELECT " + box)
			sessions = append(sessions, m)
		}
		for range rapid.IntRange(10, 60).Draw(rt, "steps") {
			rapid.SampledFrom(sessions).Draw(rt, "session").act(ts, box)
		}
		want := storeList(t, ts, box)
		for _, m := range sessions {
			m.run("NOOP")
			m.learn()
			if got := fmt.Sprint(m.list); got != want {
				rt.Fatalf("%s has\n%s, the store\n%s", m.name, got, want)
			}
			m.run("LOGOUT")
			_ = m.c.conn.Close()
		}
	})
}

// storeList gives a mailbox as the store has it, in the form of a mirror's list.
func storeList(t testing.TB, ts *testServer, box string) string {
	t.Helper()
	mb, err := ts.env.Store.Open(context.Background(), storetest.User("ann"), "ann", box, true)
	if err != nil {
		t.Fatal(err)
	}
	defer mb.Close()
	snap := mb.Snapshot()
	list := []mirrored{}
	for _, live := range snap.List.All() {
		list = append(list, mirrored{live.UID, sortedFlags(live.Flags.Names(snap.Mailbox.Keywords))})
	}
	return fmt.Sprint(list)
}
