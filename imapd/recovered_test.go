package imapd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"angarium/mailstore"
)

// qresyncCache is what a client remembers of a mailbox.
type qresyncCache struct {
	validity, modseq string
	flags            map[string]string // by UID
}

var (
	uidOf      = regexp.MustCompile(`UID (\d+)`)
	flagsOf    = regexp.MustCompile(`FLAGS \(([^)]*)\)`)
	vanishedOf = regexp.MustCompile(`^\* VANISHED \(EARLIER\) (\S+)`)
	validityOf = regexp.MustCompile(`\[UIDVALIDITY (\d+)\]`)
	modseqOf   = regexp.MustCompile(`\[HIGHESTMODSEQ (\d+)\]`)
)

// take takes in what a server says, and how many messages it spoke of.
func (q *qresyncCache) take(lines []string) (told int) {
	for _, l := range lines {
		if m := validityOf.FindStringSubmatch(l); m != nil {
			q.validity = m[1]
		}
		if m := modseqOf.FindStringSubmatch(l); m != nil {
			q.modseq = m[1]
		}
		if m := vanishedOf.FindStringSubmatch(l); m != nil {
			for _, part := range strings.Split(m[1], ",") {
				first, last, _ := strings.Cut(part, ":")
				if last == "" {
					last = first
				}
				a, _ := strconv.Atoi(first)
				b, _ := strconv.Atoi(last)
				for uid := range q.flags {
					if n, _ := strconv.Atoi(uid); a <= n && n <= b {
						delete(q.flags, uid)
						told++
					}
				}
			}
		}
		if uid := uidOf.FindStringSubmatch(l); uid != nil && strings.Contains(l, " FETCH ") {
			q.flags[uid[1]] = strings.TrimSpace(strings.ReplaceAll(flagsOf.FindStringSubmatch(l)[1], `\Recent`, ""))
			told++
		}
	}
	return told
}

func (q *qresyncCache) clone() *qresyncCache {
	c := &qresyncCache{q.validity, q.modseq, map[string]string{}}
	for k, v := range q.flags {
		c.flags[k] = v
	}
	return c
}

// learn connects a client that knows nothing.
func learn(t *testing.T, ts *testServer) (*rawClient, *qresyncCache) {
	t.Helper()
	c := ts.login(t, "ann")
	c.ok("ENABLE QRESYNC")
	q := &qresyncCache{flags: map[string]string{}}
	q.take(c.ok("SELECT INBOX"))
	q.take(c.ok("UID FETCH 1:* (FLAGS)"))
	return c, q
}

// TestAClientThatKnewALostFutureComesBackToTheTruth: a store is recovered from a copy that ends before its history did, and clients come back with
// caches from before and after that point.
func TestAClientThatKnewALostFutureComesBackToTheTruth(t *testing.T) {
	server := newTestServer(t)
	for i := range 5 {
		server.env.Append(t, "ann", "INBOX", fmt.Sprintf("Subject: %d\r\n\r\n", i))
	}
	c, old := learn(t, server)
	c.ok(`UID STORE 1 +FLAGS (\Answered)`)
	_, end := learn(t, server)
	copied := server.env.Recovered(t, mailstore.Options{})
	// What follows is lost: two messages come, one goes, flags change.
	for i := range 2 {
		server.env.Append(t, "ann", "INBOX", fmt.Sprintf("Subject: lost %d\r\n\r\n", i))
	}
	c.ok(`UID STORE 2 +FLAGS (\Flagged)`)
	c.ok(`UID STORE 3 +FLAGS (\Deleted)`)
	c.ok("UID EXPUNGE 3")
	_, future := learn(t, server)
	if len(future.flags) != 6 || future.modseq == end.modseq {
		t.Fatalf("the future is %+v", future)
	}

	back := newTestServerOn(t, copied)
	check := func(when string) {
		_, truth := learn(t, back)
		for name, cache := range map[string]*qresyncCache{"old": old, "at the end of the copy": end, "future": future} {
			client, q := back.login(t, "ann"), cache.clone()
			client.ok("ENABLE QRESYNC")
			told := q.take(client.ok(fmt.Sprintf("SELECT INBOX (QRESYNC (%s %s))", q.validity, q.modseq)))
			if diff := cmp.Diff(truth, q, cmp.AllowUnexported(qresyncCache{})); diff != "" {
				t.Errorf("%s, cache %s (-truth +client):\n%s", when, name, diff)
			}
			if name == "at the end of the copy" && when == "before any write" && told > 0 {
				t.Errorf("a client to which nothing happened is told of %d messages", told)
			}
			// A client that resynchronises by CHANGEDSINCE and the UIDs that are there (RFC 7162, section 6).
			q = cache.clone()
			q.flags = map[string]string{}
			q.take(client.ok(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %s)", cache.modseq)))
			for uid, flags := range truth.flags {
				if got, ok := q.flags[uid]; cache.flags[uid] != flags && (!ok || got != flags) {
					t.Errorf("%s, cache %s: message %s has %q, the client thinks %q and is told %q", when, name, uid, flags, cache.flags[uid], got)
				}
			}
		}
	}
	check("before any write")
	uid := copied.Append(t, "ann", "INBOX", "Subject: new\r\n\r\n")
	if future.flags[fmt.Sprint(uid)] != "" || uid < 8 {
		t.Errorf("the new message has UID %d, which another had", uid)
	}
	check("after a message came")
	w := back.login(t, "ann")
	w.ok("SELECT INBOX")
	w.ok(`UID STORE 4 +FLAGS (\Seen)`)
	check("after a flag changed")
	if again := copied.Append(t, "ann", "INBOX", "Subject: newer\r\n\r\n"); again != uid+1 {
		t.Errorf("UID %d after %d", again, uid)
	}
}
