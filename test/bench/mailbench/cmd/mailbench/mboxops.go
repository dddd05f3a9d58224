package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"mailbench/kit"
)

func wMboxOps() (out, error) {
	im, err := kit.Login(o.imap, userName(0), o.pass)
	if err != nil {
		return nil, err
	}
	defer im.Logout()
	r := out{"mailboxes": o.msgs}
	pre := "INBOX"
	sep := "/"
	im.Cmd(`LIST "" ""`, func(x *kit.Resp) error {
		f := bytes.Fields(x.Line)
		if len(f) > 3 {
			sep = strings.Trim(string(f[len(f)-2]), `"`)
		}
		return nil
	})
	name := func(p string, k int) string { return fmt.Sprintf("%s%s%s%d", pre, sep, p, k) }
	each := func(key string, f func(k int) string) error {
		var lat kit.Lat
		t0 := time.Now()
		for k := 0; k < o.msgs; k++ {
			t1 := time.Now()
			if err := im.Cmd(f(k), nil); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			lat.Add(time.Since(t1))
		}
		r[key+"_s"] = kit.Round(float64(o.msgs) / time.Since(t0).Seconds())
		r[key+"_p99_ms"] = lat.P(99)
		return nil
	}
	list := func(key, cmd, word string, want int) error {
		var v []float64
		for k := 0; k < o.repeat; k++ {
			n := 0
			t0 := time.Now()
			if err := im.Cmd(cmd, func(x *kit.Resp) error {
				if bytes.HasPrefix(x.Line, []byte(word)) && bytes.Contains(x.Line, []byte("bench")) {
					n++
				}
				return nil
			}); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			v = append(v, time.Since(t0).Seconds())
			if n != want {
				return fmt.Errorf("%s: %d of %d", key, n, want)
			}
		}
		r[key+"_ms"] = kit.Round(median(v) * 1000)
		return nil
	}
	m := start()
	if err := each("create", func(k int) string { return "CREATE " + name("bench", k) }); err != nil {
		return r, err
	}
	if err := each("subscribe", func(k int) string { return "SUBSCRIBE " + name("bench", k) }); err != nil {
		return r, err
	}
	if err := list("list", `LIST "" "*"`, "* LIST", o.msgs); err != nil {
		return r, err
	}
	if err := list("lsub", `LSUB "" "*"`, "* LSUB", o.msgs); err != nil {
		return r, err
	}
	if im.Caps["LIST-STATUS"] {
		if err := list("list_status", `LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))`, "* STATUS", o.msgs); err != nil {
			return r, err
		}
	}
	if err := each("status", func(k int) string { return "STATUS " + name("bench", k) + " (MESSAGES UNSEEN)" }); err != nil {
		return r, err
	}
	if err := each("rename", func(k int) string { return "RENAME " + name("bench", k) + " " + name("rbench", k) }); err != nil {
		return r, err
	}
	if err := each("unsubscribe", func(k int) string { return "UNSUBSCRIBE " + name("bench", k) }); err != nil {
		return r, err
	}
	if err := list("list_renamed", `LIST "" "*"`, "* LIST", o.msgs); err != nil {
		return r, err
	}
	if err := each("delete", func(k int) string { return "DELETE " + name("rbench", k) }); err != nil {
		return r, err
	}
	if err := list("list_empty", `LIST "" "*"`, "* LIST", 0); err != nil {
		return r, err
	}
	m.stop(r)
	return r, nil
}
