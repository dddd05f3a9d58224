package main

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"mailbench/kit"
)

func wSearch() (out, error) {
	c := corpus()
	im, b, err := open("")
	if err != nil {
		return nil, err
	}
	defer im.Logout()
	r := out{"exists": b.Exists}
	if b.Exists != o.msgs {
		return r, fmt.Errorf("mailbox has %d messages, want %d", b.Exists, o.msgs)
	}
	n := o.msgs
	// Expected sets hold UIDs of a fresh mailbox: message i has UID i+1.
	want := func(f func(int) bool) string {
		var s []string
		for i := 0; i < n; i++ {
			if f(i) {
				s = append(s, strconv.Itoa(i+1))
			}
		}
		return strings.Join(s, " ")
	}
	mid := n / 2
	th := c.Thread(mid)
	_, fromAddr := c.From(mid)
	day := c.Date(n * 3 / 4).Truncate(24 * time.Hour)
	if err := im.Cmd(`STORE 1:* +FLAGS.SILENT (\Seen)`, nil); err != nil {
		return r, err
	}
	if err := im.Cmd(fmt.Sprintf(`STORE 1:%d -FLAGS.SILENT (\Seen)`, n/10), nil); err != nil {
		return r, err
	}
	qs := []struct {
		name, q string
		f       func(int) bool
	}{
		{"all", "ALL", func(int) bool { return true }},
		{"unseen", "UNSEEN", func(i int) bool { return i < n/10 }},
		{"since", "SINCE " + day.Format("2-Jan-2006"), func(i int) bool { return !c.Date(i).Before(day) }},
		{"sentsince", "SENTSINCE " + day.Format("2-Jan-2006"), func(i int) bool { return !c.Date(i).Before(day) }},
		{"larger", "LARGER 50000", func(i int) bool { return c.Size(i) > 50000 }},
		{"subject", "SUBJECT " + c.SubjectKey(mid), func(i int) bool { return c.Thread(i) == th }},
		{"from", "FROM \"" + fromAddr + "\"", func(i int) bool { _, a := c.From(i); return a == fromAddr }},
		{"msgid", "HEADER Message-ID \"" + c.MsgID(mid) + "\"", func(i int) bool { return i == mid }},
		{"header", "HEADER User-Agent NoSuchAgent", func(i int) bool { return false }},
		{"body", "BODY " + kit.Needle, c.HasNeedle},
		{"text", "TEXT " + kit.Needle, c.HasNeedle},
	}
	wrong := out{}
	for _, q := range qs {
		exp := want(q.f)
		var v []float64
		rep := o.repeat
		for k := 0; k < rep; k++ {
			got := ""
			t0 := time.Now()
			if err := im.Cmd("UID SEARCH "+q.q, func(x *kit.Resp) error {
				if bytes.HasPrefix(x.Line, []byte("* SEARCH")) {
					u := kit.UIDs(x.Line)
					sort.Slice(u, func(i, j int) bool { return u[i] < u[j] })
					var s []string
					for _, y := range u {
						s = append(s, strconv.Itoa(int(y)))
					}
					got = strings.Join(s, " ")
				}
				return nil
			}); err != nil {
				wrong[q.name] = err.Error()
				break
			}
			v = append(v, time.Since(t0).Seconds())
			if got != exp {
				wrong[q.name] = fmt.Sprintf("%d hits, want %d; missing or extra: %s", len(strings.Fields(got)), len(strings.Fields(exp)), diff(c, got, exp))
			}
			if v[0] > 15 {
				break
			}
		}
		if len(v) > 0 {
			r[q.name+"_first_ms"], r[q.name+"_ms"] = kit.Round(v[0]*1000), kit.Round(median(v)*1000)
		}
	}
	if im.Caps["SORT"] {
		for _, q := range []string{"DATE", "SUBJECT", "REVERSE SIZE", "FROM"} {
			key := "sort_" + strings.ToLower(strings.ReplaceAll(q, " ", "_"))
			var v []float64
			for k := 0; k < o.repeat; k++ {
				var u []uint32
				t0 := time.Now()
				if err := im.Cmd("UID SORT ("+q+") UTF-8 ALL", func(x *kit.Resp) error {
					if bytes.HasPrefix(x.Line, []byte("* SORT")) {
						u = kit.UIDs(x.Line)
					}
					return nil
				}); err != nil {
					wrong[key] = err.Error()
					break
				}
				v = append(v, time.Since(t0).Seconds())
				if len(u) != n {
					wrong[key] = fmt.Sprintf("%d of %d", len(u), n)
					continue
				}
				for j := 1; j < n; j++ {
					bad := false
					switch q {
					case "DATE":
						bad = u[j] != u[j-1]+1
					case "REVERSE SIZE":
						bad = c.Size(int(u[j])-1) > c.Size(int(u[j-1])-1)
					}
					if bad {
						wrong[key] = "order"
						break
					}
				}
			}
			if len(v) > 0 {
				r[key+"_first_ms"], r[key+"_ms"] = kit.Round(v[0]*1000), kit.Round(median(v)*1000)
			}
		}
	}
	for _, alg := range []string{"REFERENCES", "REFS"} {
		if !im.Caps["THREAD="+alg] {
			continue
		}
		key := "thread_" + strings.ToLower(alg)
		var v []float64
		for k := 0; k < o.repeat; k++ {
			threads, msgs := 0, 0
			t0 := time.Now()
			if err := im.Cmd("UID THREAD "+alg+" UTF-8 ALL", func(x *kit.Resp) error {
				if !bytes.HasPrefix(x.Line, []byte("* THREAD")) {
					return nil
				}
				d, num := 0, false
				for _, ch := range x.Line[8:] {
					if ch == '(' {
						if d == 0 {
							threads++
						}
						d++
					}
					if ch == ')' {
						d--
					}
					dig := ch >= '0' && ch <= '9'
					if dig && !num {
						msgs++
					}
					num = dig
				}
				return nil
			}); err != nil {
				wrong[key] = err.Error()
				break
			}
			v = append(v, time.Since(t0).Seconds())
			exp := 0
			for i := 0; i < n; i++ {
				if c.Thread(i) == i {
					exp++
				}
			}
			if msgs != n || threads != exp {
				wrong[key] = fmt.Sprintf("%d threads with %d messages, want %d with %d", threads, msgs, exp, n)
			}
		}
		if len(v) > 0 {
			r[key+"_first_ms"], r[key+"_ms"] = kit.Round(v[0]*1000), kit.Round(median(v)*1000)
		}
	}
	if len(wrong) > 0 {
		r["wrong"] = wrong
	}
	return r, nil
}

// diff tells which UIDs differ, with the MIME headers of their text.
func diff(c *kit.Corpus, got, exp string) string {
	in := map[string]int{}
	for _, u := range strings.Fields(exp) {
		in[u]++
	}
	for _, u := range strings.Fields(got) {
		in[u]--
	}
	var s []string
	for u, n := range in {
		if n != 0 && len(s) < 8 {
			k, _ := strconv.Atoi(u)
			s = append(s, fmt.Sprintf("%+d uid %s body %d", -n, u, c.PoolIndex(k-1)))
		}
	}
	sort.Strings(s)
	return strings.Join(s, ", ")
}
