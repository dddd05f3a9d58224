package transfer

import (
	"bytes"
	"strings"
	"testing"
)

func scanned(t testing.TB, text string, max int64) (list []mboxLetter) {
	t.Helper()
	end := int64(0)
	err := scanMbox(strings.NewReader(text), max, func(m mboxMessage) error {
		if m.offset < end || m.length <= 0 || m.offset+m.length > int64(len(text)) {
			t.Fatalf("message at %d of %d bytes after %d of %d", m.offset, m.length, end, len(text))
		}
		end = m.offset + m.length
		if m.raw == nil {
			list = append(list, mboxLetter{})
			return nil
		}
		if !bytes.Equal(m.raw, []byte(text[m.offset:end])) {
			t.Fatal("raw is not what stands there")
		}
		list = append(list, parseMbox(m.raw))
		return nil
	})
	if err != nil && len(list) > 0 {
		t.Fatal(err)
	}
	return list
}

func TestMboxIsReadAsProgramsWriteIt(t *testing.T) {
	text := "From a@b Mon Jan  2 15:04:05 2006\nX-IMAPbase: 17 30 x\nStatus: RO\nX-Status: AF\nX-Keywords: Work $Junk\nX-UID: 4\n Folded: yes\nSubject: a\n\n" +
		">From here\n>>From there\nFrom the middle\n\nFrom c@d Tue Jan 03 15:04:05 2006 +0100\r\nSubject: b\r\n\r\nend\r\n"
	list := scanned(t, text, 1<<20)
	if len(list) != 2 {
		t.Fatalf("%d messages", len(list))
	}
	a, b := list[0], list[1]
	if string(a.body) != "Subject: a\r\n\r\nFrom here\r\n>From there\r\nFrom the middle\r\n" || strings.Join(a.flags, " ") != `\Seen \Answered \Flagged Work $Junk` ||
		a.recent || a.uid != 4 || a.base.UIDValidity != 17 || a.base.UIDNext != 31 || a.date.Unix() != 1136214245 {
		t.Errorf("%+v %q", a, a.body)
	}
	if string(b.body) != "Subject: b\r\n\r\nend\r\n" || !b.recent || b.date.Unix() != 1136297045 {
		t.Errorf("%+v %q", b, b.body)
	}
	if list = scanned(t, text, 60); len(list) != 2 || list[0].body != nil {
		t.Errorf("%+v", list)
	}
	if err := scanMbox(strings.NewReader("no mbox\n"), 100, nil); err == nil {
		t.Error("any file is an mbox")
	}
}

func FuzzMbox(f *testing.F) {
	f.Add("From a Mon Jan  2 15:04:05 2006\nStatus: RO\nX-IMAP: 1 4294967295\n\nx\n\nFrom b\n\n", 30)
	f.Add("From \n\n>From \n\nFrom \r\n", 1000)
	f.Add("\n\nFrom", 0)
	f.Add("From x\nX-UID:\n\tgoes on\nStatus\n:\n", 1000)
	f.Fuzz(func(t *testing.T, text string, max int) {
		for _, l := range scanned(t, text, int64(max)) {
			if bytes.Contains(l.body, []byte("\r\r\n")) && !strings.Contains(text, "\r\r") {
				t.Errorf("%q", l.body)
			}
		}
	})
}
