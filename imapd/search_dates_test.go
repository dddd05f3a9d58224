package imapd

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"angarium/mailstore"
	"angarium/mailstore/storetest"
)

// clock is a clock that a test sets.
type clock struct{ atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(c.Load(), 0) }

func (c *clock) set(t time.Time) { c.Store(t.Unix()) }

// newClockedServer is a test server whose store and sessions go by a clock.
func newClockedServer(t *testing.T) (*testServer, *clock) {
	c := &clock{}
	c.set(testDate(1))
	env := storetest.New(t, 1, mailstore.Options{Now: c.now, DefaultMailboxes: []mailstore.NewMailbox{{Name: "Sent"}}})
	return newTestServerOn(t, env, func(o *Options) { o.Now = c.now }), c
}

// The save date is that of the coming into the mailbox, whatever the internal date (RFC 8514).
func TestSaveDate(t *testing.T) {
	ts, clock := newClockedServer(t)
	c := ts.login(t, "ann")
	at := func(day, hour, minute, second int) {
		clock.set(time.Date(2026, 3, day, hour, minute, second, 0, time.UTC))
	}
	appended := func(mailbox string) {
		c.ok(`APPEND ` + mailbox + ` "05-Feb-2020 01:02:03 +0200" ` + literal("Subject: x\r\n\r\nbody\r\n"))
	}
	at(1, 23, 59, 59)
	appended("INBOX")
	at(2, 0, 0, 0)
	appended("INBOX")
	at(2, 23, 59, 59)
	ts.env.Append(t, "ann", "INBOX", "Subject: y\r\n\r\n")
	at(3, 12, 0, 0)
	c.ok("SELECT INBOX")
	c.says("FETCH 1:3 SAVEDATE", `* 1 FETCH (SAVEDATE "01-Mar-2026 23:59:59 +0000")`, `* 2 FETCH (SAVEDATE "02-Mar-2026 00:00:00 +0000")`,
		`* 3 FETCH (SAVEDATE "02-Mar-2026 23:59:59 +0000")`, "OK ...")
	c.says("FETCH 1 (INTERNALDATE SAVEDATE)", `* 1 FETCH (INTERNALDATE "04-Feb-2020 23:02:03 +0000" SAVEDATE "01-Mar-2026 23:59:59 +0000")`, "OK ...")
	for _, tc := range []struct{ keys, want string }{
		{"SAVEDBEFORE 1-Mar-2026", ""}, {"SAVEDBEFORE 2-Mar-2026", " 1"}, {"SAVEDBEFORE 3-Mar-2026", " 1 2 3"},
		{"SAVEDON 1-Mar-2026", " 1"}, {"SAVEDON 2-Mar-2026", " 2 3"}, {`SAVEDON "3-Mar-2026"`, ""}, {"SAVEDON 5-Feb-2020", ""},
		{"SAVEDSINCE 1-Mar-2026", " 1 2 3"}, {"SAVEDSINCE 2-Mar-2026", " 2 3"}, {"SAVEDSINCE 3-Mar-2026", ""},
		{"NOT SAVEDON 2-Mar-2026", " 1"}, {"OR SAVEDON 1-Mar-2026 SUBJECT y", " 1 3"}, {"SAVEDSINCE 2-Mar-2026 BEFORE 1-Jan-2021", " 2"},
		{"SAVEDATESUPPORTED", " 1 2 3"}, {"NOT SAVEDATESUPPORTED", ""}, {"savedatesupported savedon 1-mar-2026", " 1"},
	} {
		c.says("SEARCH "+tc.keys, "* SEARCH"+tc.want, "OK ...")
	}
	if told := c.ok("SEARCH RETURN (COUNT) SAVEDATESUPPORTED"); len(told) != 1 || !strings.HasSuffix(told[0], ") COUNT 3") {
		t.Errorf("%q", told)
	}
	// A copy is saved when it is made; the internal date goes along.
	c.ok("COPY 1 Sent")
	at(4, 8, 0, 0)
	c.ok("MOVE 2 Sent")
	c.ok(`STORE 1 +FLAGS (\Seen)`)
	c.says("FETCH 1 SAVEDATE", `* 1 FETCH (SAVEDATE "01-Mar-2026 23:59:59 +0000")`, "OK ...")
	c.ok("RENAME INBOX old") // which moves the messages
	c.ok("SELECT old")
	c.says("FETCH 1 SAVEDATE", `* 1 FETCH (SAVEDATE "04-Mar-2026 08:00:00 +0000")`, "OK ...")
	c.ok("EXAMINE Sent")
	c.says("UID FETCH 1:* (INTERNALDATE SAVEDATE)", `* 1 FETCH (UID 1 INTERNALDATE "04-Feb-2020 23:02:03 +0000" SAVEDATE "03-Mar-2026 12:00:00 +0000")`,
		`* 2 FETCH (UID 2 INTERNALDATE "04-Feb-2020 23:02:03 +0000" SAVEDATE "04-Mar-2026 08:00:00 +0000")`, "OK ...")
	for _, bad := range []string{"SEARCH SAVEDON", "SEARCH SAVEDON x", "SEARCH SAVEDBEFORE 31-Feb-2026", "SEARCH SAVEDSINCE 1-Mar-26", "SEARCH SAVEDATESUPPORTED x", "FETCH 1 SAVEDATE.PEEK", "FETCH 1 SAVEDATE[]"} {
		c.refused(bad, "BAD")
	}
}

// OLDER and YOUNGER are about the internal date, to the second (RFC 5032).
func TestWithin(t *testing.T) {
	ts, clock := newClockedServer(t)
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	clock.set(now)
	c := ts.login(t, "ann")
	for _, age := range []time.Duration{0, 59 * time.Second, time.Minute, 61 * time.Second, 24 * time.Hour, -time.Hour} { // the last comes from the future
		zone := time.FixedZone("", -5*3600)
		c.ok(fmt.Sprintf(`APPEND INBOX "%s" %s`, now.Add(-age).In(zone).Format("02-Jan-2006 15:04:05 -0700"), literal("Subject: x\r\n\r\n")))
	}
	c.ok("SELECT INBOX")
	for _, tc := range []struct{ keys, want string }{
		{"YOUNGER 60", " 1 2 3 6"}, {"OLDER 60", " 3 4 5"}, {"NOT OLDER 60", " 1 2 6"}, {"NOT YOUNGER 60", " 4 5"}, {"YOUNGER 60 OLDER 60", " 3"},
		{"YOUNGER 1", " 1 6"}, {"OLDER 1", " 2 3 4 5"}, {"OLDER 86400", " 5"}, {"OLDER 86401", ""}, {"YOUNGER 86400", " 1 2 3 4 5 6"},
		{"YOUNGER 4294967295", " 1 2 3 4 5 6"}, {"OLDER 4294967295", ""}, {"OR YOUNGER 59 OLDER 86400", " 1 2 5 6"},
		{"(OLDER 60 YOUNGER 3600) UNSEEN", " 3 4"}, {"1:3 older 60", " 3"}, {"CHARSET UTF-8 OLDER 61", " 4 5"},
	} {
		c.says("SEARCH "+tc.keys, "* SEARCH"+tc.want, "OK ...")
		c.says("UID SEARCH "+tc.keys, "* SEARCH"+tc.want, "OK ...")
	}
	// Time goes on while the session lives.
	clock.set(now.Add(time.Second))
	c.says("SEARCH OLDER 60", "* SEARCH 2 3 4 5", "OK ...")
	c.says("SEARCH RETURN (SAVE) OLDER 60", "OK ...")
	clock.set(now.Add(time.Hour))
	c.says("SEARCH $", "* SEARCH 2 3 4 5", "OK ...")
	if told := c.ok("SEARCH RETURN (MIN MAX COUNT ALL) YOUNGER 3600"); len(told) != 1 || !strings.HasSuffix(told[0], " MIN 1 MAX 6 ALL 1,6 COUNT 2") {
		t.Errorf("%q", told)
	}
	for _, bad := range []string{"OLDER", "YOUNGER ", "OLDER 0", "YOUNGER 0", "OLDER -1", "YOUNGER x", "OLDER 4294967296", "OLDER 1.5", "YOUNGER 1d", "OLDER 00"} {
		c.refused("SEARCH "+bad, "BAD")
	}
}
