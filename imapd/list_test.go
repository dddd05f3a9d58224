package imapd

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }

// listServer has mailboxes and subscriptions of every kind.
func listServer(t *testing.T) *rawClient {
	c := newTestServer(t).login(t, "ann")
	for _, command := range []string{
		"CREATE Fruit", "CREATE Fruit/Apple", "CREATE Fruit/Banana/Split", `CREATE Fruit/Kept (USE (\Archive))`, "CREATE Vegetable", "CREATE INBOX/Sub",
		"SUBSCRIBE Fruit/Banana/Split", "SUBSCRIBE Vegetable", "SUBSCRIBE Gone/Mailbox",
	} {
		c.ok(command)
	}
	return c
}

func TestList(t *testing.T) {
	c := listServer(t)
	for _, tc := range []struct {
		args string
		want []string
	}{
		{`"" ""`, []string{`(\Noselect) "/" ""`}},
		{`"Fruit/" ""`, []string{`(\Noselect) "/" ""`}},
		{`"" %`, []string{
			`(\HasChildren) "/" INBOX`, `(\HasChildren) "/" Fruit`, `(\HasNoChildren \Sent) "/" Sent`, `(\HasNoChildren) "/" Vegetable`,
		}},
		{`"" Fruit/%`, []string{
			`(\HasNoChildren) "/" Fruit/Apple`, `(\Noselect \HasChildren) "/" Fruit/Banana`, `(\HasNoChildren \Archive) "/" Fruit/Kept`,
		}},
		{`Fruit/ %`, []string{
			`(\HasNoChildren) "/" Fruit/Apple`, `(\Noselect \HasChildren) "/" Fruit/Banana`, `(\HasNoChildren \Archive) "/" Fruit/Kept`,
		}},
		{`"" Fruit/B*`, []string{`(\HasNoChildren) "/" Fruit/Banana/Split`}},
		{`"" Fruit/Banana`, []string{`(\Noselect \HasChildren) "/" Fruit/Banana`}},
		{`"" inBox`, []string{`(\HasChildren) "/" INBOX`}},
		{`"" inBox/%`, []string{`(\HasNoChildren) "/" INBOX/Sub`}},
		{`"" (inbox "Veg*")`, []string{`(\HasChildren) "/" INBOX`, `(\HasNoChildren) "/" Vegetable`}},
		{`"" Fruit/Banana RETURN (CHILDREN)`, []string{`(\NonExistent \HasChildren) "/" Fruit/Banana`}},
		{`(SUBSCRIBED) "" *`, []string{
			`(\Subscribed \HasNoChildren) "/" Fruit/Banana/Split`, `(\NonExistent \Subscribed \HasNoChildren) "/" Gone/Mailbox`,
			`(\Subscribed \HasNoChildren \Sent) "/" Sent`, `(\Subscribed \HasNoChildren) "/" Vegetable`,
		}},
		{`(SUBSCRIBED REMOTE) "" %`, []string{`(\Subscribed \HasNoChildren \Sent) "/" Sent`, `(\Subscribed \HasNoChildren) "/" Vegetable`}},
		{`(SUBSCRIBED RECURSIVEMATCH) "" %`, []string{
			`(\HasChildren) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))`, `(\NonExistent \HasNoChildren) "/" Gone ("CHILDINFO" ("SUBSCRIBED"))`,
			`(\Subscribed \HasNoChildren \Sent) "/" Sent`, `(\Subscribed \HasNoChildren) "/" Vegetable`,
		}},
		{`(SPECIAL-USE) "" *`, []string{`(\HasNoChildren \Archive) "/" Fruit/Kept`, `(\HasNoChildren \Sent) "/" Sent`}},
		{`(SPECIAL-USE SUBSCRIBED) "" *`, []string{`(\Subscribed \HasNoChildren \Sent) "/" Sent`}},
		{`(SPECIAL-USE RECURSIVEMATCH) "" %`, []string{
			`(\HasChildren) "/" Fruit ("CHILDINFO" ("SPECIAL-USE"))`, `(\HasNoChildren \Sent) "/" Sent`,
		}},
		{`() "" Veg* RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)`, []string{`(\Subscribed \HasNoChildren) "/" Vegetable`}},
		{`"" "" RETURN ()`, []string{`(\Noselect) "/" ""`}},
		{`"" nothing`, nil},
	} {
		var got []string
		for _, l := range c.ok("LIST " + tc.args) {
			got = append(got, strings.TrimPrefix(l, "* LIST "))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.args, diff)
		}
	}
}

func TestListWithStatus(t *testing.T) {
	c := listServer(t)
	c.send(`a LIST "" (Fruit/Banana Vegetable) RETURN (STATUS (MESSAGES UNSEEN))`)
	c.expect(`* LIST (\NonExistent \HasChildren) "/" Fruit/Banana`, `* LIST (\HasNoChildren) "/" Vegetable`, "* STATUS Vegetable (MESSAGES 0 UNSEEN 0)", "a OK ...")
}

func TestListRefusals(t *testing.T) {
	c := listServer(t)
	for _, args := range []string{
		"", `""`, `"" * x`, `"" * RETURN`, `"" * RETURN x`, `"" * RETURN (NONSENSE)`, `(NONSENSE) "" *`, `(RECURSIVEMATCH) "" *`,
		`(RECURSIVEMATCH REMOTE) "" *`, `"" ()`, `"" * RETURN (STATUS)`, `"" * RETURN (STATUS ())`, `"" (` + strings.TrimSpace(strings.Repeat("a ", 101)) + `)`,
		`"" ` + strings.Repeat("%", 1001), strings.Repeat("a", 600) + " " + strings.Repeat("a", 600),
	} {
		if _, status := c.cmd("LIST " + args); strings.HasPrefix(status, "OK") {
			t.Errorf("%.80s: %s", args, status)
		}
	}
	c.ok("NOOP")
}

func TestNamesAreListedLevelByLevel(t *testing.T) {
	want := []string{"INBOX", "INBOX/a", "A", "A/b", "A/b/c", "A/c", "A b", "A!b", "INBOXES", "a"}
	for i := range want[1:] {
		if compareNames(want[i], want[i+1]) >= 0 || compareNames(want[i+1], want[i]) <= 0 || compareNames(want[i], want[i]) != 0 {
			t.Errorf("%q does not come before %q", want[i], want[i+1])
		}
	}
}
