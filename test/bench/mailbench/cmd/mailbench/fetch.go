package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"time"

	"mailbench/kit"
)

// idIn finds the message number in a response by its Message-ID.
func idIn(c *kit.Corpus, p []byte) int {
	key := []byte("<" + c.Run + ".")
	k := bytes.Index(p, key)
	if k < 0 {
		return -1
	}
	n := 0
	for _, ch := range p[k+len(key):] {
		if ch < '0' || ch > '9' {
			break
		}
		n = n*10 + int(ch-'0')
	}
	return n
}

// wFetchHeaders expects a mailbox filled by "fill" with the same -run,
// -seed, -median, -sigma, -n and -users 1.
func wFetchHeaders() (out, error) {
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
	size := make([]int, o.msgs)
	subj := make([][]byte, o.msgs)
	date := make([][]byte, o.msgs)
	for i := range size {
		size[i] = c.Size(i)
		subj[i] = []byte(c.Subject(i))
		date[i] = []byte(c.Date(i).Format("_2-Jan-2006 15:04:05 -0700"))
	}
	full := func(x *kit.Resp, seen []bool) error {
		i := -1
		if len(x.Lits) == 0 {
			// The envelope's own message id is the last of its fields; replies
			// name the parent first.
			k := bytes.LastIndex(x.Line, []byte("<"+c.Run+"."))
			if k >= 0 {
				i = idIn(c, x.Line[k:])
			}
		} else {
			all := append(append([]byte(nil), x.Line...), bytes.Join(x.Lits, []byte(" "))...)
			i = int(kit.NumAfter(x.Line, "UID ")) - 1
			if !bytes.Contains(all, []byte("<"+c.MsgID(i)+">")) {
				i = -1
			}
		}
		if i < 0 || i >= o.msgs || seen[i] {
			return fmt.Errorf("bad or doubled envelope: %.300s", x.Line)
		}
		seen[i] = true
		if n := kit.NumAfter(x.Line, "RFC822.SIZE "); int(n) != size[i] {
			return fmt.Errorf("message %d: RFC822.SIZE %d, want %d", i, n, size[i])
		}
		if !bytes.Contains(x.Line, subj[i]) && !bytes.Contains(bytes.Join(x.Lits, nil), subj[i]) {
			return fmt.Errorf("message %d: subject %q not in %.300s", i, subj[i], x.Line)
		}
		if !bytes.Contains(x.Line, date[i]) && !bytes.Contains(x.Line, bytes.Replace(date[i], []byte(" "), []byte("0"), 1)) {
			return fmt.Errorf("message %d: INTERNALDATE not %s: %.300s", i, date[i], x.Line)
		}
		if c.HasAttachment(i) && !bytes.Contains(bytes.ToLower(x.Line), []byte("attachment")) {
			return fmt.Errorf("message %d: no attachment in BODYSTRUCTURE: %.400s", i, x.Line)
		}
		return nil
	}
	hdr := func(x *kit.Resp, seen []bool) error {
		if len(x.Lits) != 1 {
			return fmt.Errorf("no header literal: %.200s", x.Line)
		}
		h := x.Lits[0]
		k := bytes.Index(bytes.ToLower(h), []byte("message-id:"))
		if k < 0 {
			return fmt.Errorf("no Message-ID")
		}
		i := idIn(c, h[k:])
		if i < 0 || i >= o.msgs || seen[i] || !bytes.Contains(h, subj[i]) {
			return fmt.Errorf("bad or doubled header: %.300s", h)
		}
		seen[i] = true
		return nil
	}
	flags := func(x *kit.Resp, seen []bool) error {
		i := int(kit.NumAfter(x.Line, "UID ")) - 1
		if i < 0 || i >= o.msgs || seen[i] || !bytes.Contains(x.Line, []byte("FLAGS (")) {
			return fmt.Errorf("bad: %.200s", x.Line)
		}
		seen[i] = true
		return nil
	}
	for _, q := range []struct {
		name, items string
		f           func(*kit.Resp, []bool) error
	}{
		{"envelope", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)", full},
		{"hdrfields", "(UID BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID REFERENCES LIST-ID)])", hdr},
		{"flags", "(UID FLAGS)", flags},
	} {
		var v []float64
		cpu := kit.CPU(o.pid)
		in0 := im.In
		for k := 0; k < o.repeat; k++ {
			seen := make([]bool, o.msgs)
			t0 := time.Now()
			if err := im.Cmd("UID FETCH 1:* "+q.items, func(x *kit.Resp) error {
				if !bytes.Contains(x.Line[:min(40, len(x.Line))], []byte(" FETCH (")) {
					return nil
				}
				return q.f(x, seen)
			}); err != nil {
				return r, fmt.Errorf("%s: %w", q.name, err)
			}
			v = append(v, time.Since(t0).Seconds())
			for i, s := range seen {
				if !s {
					return r, fmt.Errorf("%s: message %d not returned", q.name, i)
				}
			}
		}
		r[q.name+"_first_s"], r[q.name+"_s"] = kit.Round6(v[0]), median(v)
		r[q.name+"_msg_s"] = int(float64(o.msgs) / median(v))
		r[q.name+"_mb"] = kit.Round(float64(im.In-in0) / float64(o.repeat) / 1e6)
		if o.pid != 0 {
			r[q.name+"_server_cpu_s"] = kit.Round((kit.CPU(o.pid) - cpu) / float64(o.repeat))
		}
	}
	return r, nil
}

func wFetchBodies() (out, error) {
	c := corpus()
	im, b, err := open("")
	if err != nil {
		return nil, err
	}
	defer im.Logout()
	r := out{"exists": b.Exists}
	var v []float64
	var total int64
	cpu := kit.CPU(o.pid)
	for k := 0; k < o.repeat; k++ {
		seen := make([]bool, o.msgs)
		n := 0
		total = 0
		t0 := time.Now()
		if err := im.Cmd("UID FETCH 1:* (UID BODY.PEEK[])", func(x *kit.Resp) error {
			if len(x.Lits) == 0 {
				return nil
			}
			i, err := c.Check(x.Lits[0])
			if err == nil && (i >= o.msgs || seen[i]) {
				err = fmt.Errorf("message %d unexpected", i)
			}
			if err == nil {
				seen[i] = true
				n++
				total += int64(len(x.Lits[0]))
			}
			return err
		}); err != nil {
			return r, err
		}
		v = append(v, time.Since(t0).Seconds())
		if n != o.msgs {
			return r, fmt.Errorf("%d of %d messages", n, o.msgs)
		}
	}
	r["first_s"], r["s"] = kit.Round6(v[0]), median(v)
	r["mb"], r["mb_s"] = kit.Round(float64(total)/1e6), kit.Round(float64(total)/1e6/median(v))
	r["msg_s"] = int(float64(o.msgs) / median(v))
	if o.pid != 0 {
		r["server_cpu_s"] = kit.Round((kit.CPU(o.pid) - cpu) / float64(o.repeat))
	}
	// One by one, as a reader does.
	rn := rand.New(rand.NewSource(o.seed))
	var lat kit.Lat
	t0 := time.Now()
	k := 0
	for ; k < 1000 && time.Since(t0) < 10*time.Second; k++ {
		s := rn.Intn(o.msgs) + 1
		t1 := time.Now()
		if err := im.Cmd(fmt.Sprintf("FETCH %d (UID BODY.PEEK[])", s), func(x *kit.Resp) error {
			if len(x.Lits) == 0 {
				return nil
			}
			_, err := c.Check(x.Lits[0])
			return err
		}); err != nil {
			return r, err
		}
		lat.Add(time.Since(t1))
	}
	r["single_s"] = kit.Round(float64(k) / time.Since(t0).Seconds())
	r["single_p50_ms"], r["single_p99_ms"] = lat.P(50), lat.P(99)
	return r, nil
}
