package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"strconv"
	"strings"
	"time"

	"mailbench/kit"
)

// wResync: another session changes 80 flags and expunges 20 messages, then a
// QRESYNC client that knows the old state selects the mailbox again.
func wResync() (out, error) {
	r := out{}
	im, b, err := open("")
	if err != nil {
		return nil, err
	}
	r["exists"] = b.Exists
	if !im.Caps["QRESYNC"] {
		return r, fmt.Errorf("no QRESYNC")
	}
	if err := im.Cmd("ENABLE QRESYNC", nil); err != nil {
		return r, err
	}
	if b, err = im.Select(o.box, "", nil); err != nil {
		return r, err
	}
	var uids []uint32
	if err := im.Cmd("UID SEARCH ALL", func(x *kit.Resp) error {
		if bytes.HasPrefix(x.Line, []byte("* SEARCH")) {
			uids = kit.UIDs(x.Line)
		}
		return nil
	}); err != nil {
		return r, err
	}
	rn := rand.New(rand.NewSource(o.seed))
	var sel, cs kit.Lat
	var lastB kit.Box
	for k := 0; k < o.repeat; k++ {
		ch, bb, err := open(" (CONDSTORE)")
		if err != nil {
			return r, err
		}
		if bb.Highest == 0 {
			return r, fmt.Errorf("no HIGHESTMODSEQ")
		}
		p := rn.Perm(len(uids))[:100]
		var fl, ex []string
		exset := map[uint32]bool{}
		flset := map[uint32]bool{}
		for j, x := range p {
			u := uids[x]
			if j < 80 {
				fl = append(fl, strconv.Itoa(int(u)))
				flset[u] = true
			} else {
				ex = append(ex, strconv.Itoa(int(u)))
				exset[u] = true
			}
		}
		if err := ch.Cmd(fmt.Sprintf(`UID STORE %s +FLAGS.SILENT ($Resync%d)`, strings.Join(fl, ","), rn.Intn(1000)), nil); err != nil {
			return r, err
		}
		if err := ch.Cmd(fmt.Sprintf(`UID STORE %s +FLAGS.SILENT (\Deleted)`, strings.Join(ex, ",")), nil); err != nil {
			return r, err
		}
		if err := ch.Cmd("UID EXPUNGE "+strings.Join(ex, ","), nil); err != nil {
			return r, err
		}
		ch.Logout()
		c2, err := kit.Login(o.imap, userName(0), o.pass)
		if err != nil {
			return r, err
		}
		if err := c2.Cmd("ENABLE QRESYNC", nil); err != nil {
			return r, err
		}
		gotf, gote := map[uint32]bool{}, map[uint32]bool{}
		t0 := time.Now()
		lastB, err = c2.Select(o.box, fmt.Sprintf(" (QRESYNC (%d %d))", bb.UIDValidity, bb.Highest), func(x *kit.Resp) error {
			if k := bytes.Index(x.Line, []byte("VANISHED (EARLIER) ")); k >= 0 {
				for _, u := range kit.SetUIDs(string(x.Line[k+19:])) {
					gote[u] = true
				}
			} else if bytes.Contains(x.Line, []byte(" FETCH (")) {
				gotf[uint32(kit.NumAfter(x.Line, "UID "))] = true
			}
			return nil
		})
		sel.Add(time.Since(t0))
		if err != nil {
			return r, err
		}
		for u := range exset {
			if !gote[u] {
				return r, fmt.Errorf("UID %d not in VANISHED", u)
			}
		}
		for u := range flset {
			if !gotf[u] {
				return r, fmt.Errorf("UID %d: change not told", u)
			}
		}
		if len(gotf) != len(flset) {
			r["extra_fetch"] = len(gotf) - len(flset)
		}
		if len(gote) != len(exset) {
			r["extra_vanished"] = len(gote) - len(exset)
		}
		t0 = time.Now()
		n := 0
		if err := c2.Cmd(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)", bb.Highest), func(x *kit.Resp) error {
			if bytes.Contains(x.Line, []byte(" FETCH (")) {
				n++
			}
			return nil
		}); err != nil {
			return r, err
		}
		cs.Add(time.Since(t0))
		if n < 80 {
			return r, fmt.Errorf("CHANGEDSINCE told %d", n)
		}
		c2.Logout()
		var left []uint32
		for _, u := range uids {
			if !exset[u] {
				left = append(left, u)
			}
		}
		uids = left
	}
	if lastB.Exists != len(uids) {
		return r, fmt.Errorf("%d exist, want %d", lastB.Exists, len(uids))
	}
	im.C.Close()
	r["qresync_select_ms"], r["qresync_select_max_ms"] = sel.P(50), sel.P(100)
	r["changedsince_ms"] = cs.P(50)
	return r, nil
}
