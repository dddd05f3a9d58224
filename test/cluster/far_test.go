package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

func TestFarNodeHasEveryAcknowledgedMessageWhenTheClusterIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills servers")
	}
	bin := programs(t)
	c := start(t, bin, func(n *node) { n.flags = []string{"--channel-listen", free(t)} })
	c[0].syncctl("account", "add", "--batch", batch(t))
	far := &node{t: t, bin: bin, data: filepath.Join(t.TempDir(), "data"), name: "far", lmtp: free(t)}
	imapAddr, token := free(t), filepath.Join(t.TempDir(), "token")
	far.flags = []string{"--imap", imapAddr, "--join-file", token}
	var tokens string
	for _, n := range c {
		tokens += n.syncctl("channel", "add", "far")
	}
	if err := os.WriteFile(token, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	far.start()
	c[1].syncctl("channel", "set", "far", "--ack", "replica") // said to one, it holds for all
	c.until("every node waits for the far one", func() bool {
		return !slices.ContainsFunc(c, func(n *node) bool {
			return !strings.Contains(n.syncctl("channel", "list", "--json"), `"ack":"replica"`)
		})
	})

	l := &ledger{acked: map[string]bool{}}
	for i, n := range append(slices.Clone(c), far) { // the node that leads, those that forward, the one outside
		l.deliver(t, n.lmtp, "at "+n.name)
		if i == 0 {
			l.has(t, imapAddr)
		}
	}
	append(slices.Clone(c), far).agree(len(l.acked))
	for _, n := range c {
		far.syncctl("verify", "--against", n.name)
		n.syncctl("verify", "--against", "far")
	}
	far.syncctl("diff", c[0].name, "--account", "ann")
	if out, err := exec.Command(filepath.Join(bin, "syncctl"), "--data", far.data, "promote", "--yes").CombinedOutput(); err == nil {
		t.Errorf("a cluster has handed over:\n%s", out)
	}

	followed := c[far.upstream(c)]
	t.Logf("%s is followed and killed", followed.name)
	var wg sync.WaitGroup
	wg.Go(func() { l.deliver(t, far.lmtp, "while it dies") })
	followed.stop(syscall.SIGKILL)
	wg.Wait()
	l.deliver(t, far.lmtp, "after the kill")
	if next := c[far.upstream(c)]; next == followed {
		t.Errorf("the far node still follows %s", followed.name)
	}
	l.has(t, imapAddr)

	for _, n := range c {
		if n != followed {
			n.stop(syscall.SIGKILL)
		}
	}
	t.Log(far.syncctl("promote", "--force", "--yes"))
	l.has(t, imapAddr)
	l.deliver(t, far.lmtp, "far alone")
}

// has holds that the server has each message that was acknowledged, once.
func (l *ledger) has(t *testing.T, addr string) {
	t.Helper()
	client, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Login("ann", "secret-password").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	rows, err := client.Fetch(imap.SeqSet{imap.SeqRange{Start: 1}}, &imap.FetchOptions{Envelope: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, row := range rows {
		found[row.Envelope.Subject]++
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for subject := range l.acked {
		if found[subject] != 1 {
			t.Errorf("%q is there %d times", subject, found[subject])
		}
	}
}

// upstream is the number of the node that a far one follows.
func (n *node) upstream(c site) (number int) {
	c.until("the far node follows", func() bool {
		st, err := n.status()
		if err != nil {
			return false
		}
		for _, ch := range st.Shards[0].Channels {
			number = slices.IndexFunc(c, func(n *node) bool { return n.name == ch.Name })
			if ch.Direction == "receive" && ch.State == "following" && number >= 0 {
				return true
			}
		}
		return false
	})
	return number
}

// until waits for a condition.
func (c site) until(what string, is func() bool) {
	c[0].t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c[0].t.Fatalf("not in time: %s", what)
		}
	}
}
