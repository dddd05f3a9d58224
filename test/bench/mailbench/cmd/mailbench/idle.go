package main

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"mailbench/kit"
)

// wIdle opens -conns IDLE connections spread over -users users, measures the
// memory they cost, then delivers -n messages and times the notification.
func wIdle() (out, error) {
	c := corpus()
	r := out{"conns": o.conns, "users": o.users}
	pss0, _, n0 := kit.Mem(o.pid)
	type note struct {
		conn int
		at   time.Time
	}
	cl := make([]*kit.IMAP, o.conns)
	t0 := time.Now()
	var wg sync.WaitGroup
	var firstErr error
	var mu sync.Mutex
	for w := 0; w < 8; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			for k := w; k < o.conns; k += 8 {
				im, err := kit.Login(o.imap, userName(k%o.users), o.pass)
				if err == nil {
					_, err = im.Select("INBOX", "", nil)
				}
				if err == nil {
					im.Send("IDLE")
					err = im.WaitCont()
				}
				if err != nil {
					mu.Lock()
					firstErr = err
					mu.Unlock()
					return
				}
				cl[k] = im
			}
		}(w)
	}
	wg.Wait()
	if firstErr != nil {
		return r, firstErr
	}
	r["login_idle_s"] = kit.Round(float64(o.conns) / time.Since(t0).Seconds())
	time.Sleep(3 * time.Second)
	pss1, rss1, n1 := kit.Mem(o.pid)
	if o.pid != 0 {
		r["pss_kib_per_conn"] = kit.Round(float64(pss1-pss0) / float64(o.conns))
		r["pss_mib"], r["rss_mib"], r["pss0_mib"] = pss1/1024, rss1/1024, pss0/1024
		r["procs0"], r["procs"] = n0, n1
	}
	ch := make(chan note, 100000)
	for k, im := range cl {
		go func(k int, im *kit.IMAP) {
			im.C.SetReadDeadline(time.Time{})
			for {
				x, err := im.ReadNoDeadline()
				if err != nil {
					return
				}
				if bytes.HasSuffix(x.Line, []byte(" EXISTS")) {
					ch <- note{k, time.Now()}
				}
			}
		}(k, im)
	}
	l, err := kit.DialLMTP(o.lmtp)
	if err != nil {
		return r, err
	}
	defer l.Close()
	var fromSend, fromAck kit.Lat
	per := o.conns / o.users
	lost := 0
	for i := 0; i < o.msgs; i++ {
		u := i % o.users
		t1 := time.Now()
		if err := l.Deliver("sender@example.com", []string{rcptName(u)}, c.Head(i), c.Tail(i), nil); err != nil {
			return r, err
		}
		t2 := time.Now()
		need := per
		limit := time.After(5 * time.Second)
		for need > 0 {
			select {
			case x := <-ch:
				if x.conn%o.users != u {
					continue
				}
				fromSend.Add(x.at.Sub(t1))
				d := x.at.Sub(t2)
				if d < 0 {
					d = 0
				}
				fromAck.Add(d)
				need--
			case <-limit:
				lost += need
				need = 0
			}
		}
		if lost > 10*per {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	r["delivered"], r["lost"] = o.msgs, lost
	r["send_to_exists_p50_ms"], r["send_to_exists_p99_ms"] = fromSend.P(50), fromSend.P(99)
	r["ack_to_exists_p50_ms"], r["ack_to_exists_p99_ms"] = fromAck.P(50), fromAck.P(99)
	for _, im := range cl {
		im.C.Close()
	}
	if lost > 0 {
		return r, fmt.Errorf("%d notifications not seen in 5 s", lost)
	}
	return r, nil
}
