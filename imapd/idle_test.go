package imapd

import (
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

func TestIdleTellsOfChangesAtOnce(t *testing.T) {
	ts := newTestServer(t)
	c := ts.login(t, "ann")
	c.ok("SELECT INBOX")
	c.send("a IDLE")
	c.expect("+ idling")
	uid := ts.env.Append(t, "ann", "INBOX", "Subject: a\r\n\r\n")
	c.expect("* 1 EXISTS", "* 1 RECENT")
	other := ts.login(t, "ann")
	other.ok("SELECT INBOX")
	other.ok(`UID STORE ` + uintText(uint64(uid)) + ` +FLAGS.SILENT (\Deleted)`)
	c.expect(`* 1 FETCH (FLAGS (\Deleted \Recent))`)
	other.ok("EXPUNGE")
	c.expect("* 1 EXPUNGE")
	c.send("done")
	c.expect("a OK Idle completed")
	c.ok("NOOP")
}

func TestIdleWithoutAMailbox(t *testing.T) {
	c := newTestServer(t).login(t, "ann")
	c.sendRaw("a IDLE\r\nDONE\r\nb NOOP\r\n")
	c.expect("+ idling", "a OK Idle completed", "b OK Done")
	c.send("c IDLE")
	c.expect("+ idling")
	c.send("NOOP")
	c.expect("c BAD ...")
	c.refused("IDLE now", "BAD")
}

func TestIndependentClientIdles(t *testing.T) {
	ts := newTestServer(t)
	exists := make(chan uint32, 10)
	c := ts.imapclient(t, "ann", &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				exists <- *data.NumMessages
			}
		},
	}})
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		idle, err := c.Idle()
		if err != nil {
			t.Fatal(err)
		}
		ts.env.Append(t, "ann", "INBOX", "Subject: a\r\n\r\n")
		if n := <-exists; n != uint32(i+1) {
			t.Errorf("%d messages", n)
		}
		if err := idle.Close(); err != nil {
			t.Fatal(err)
		}
		if err := idle.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
