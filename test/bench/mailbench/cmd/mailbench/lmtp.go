package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mailbench/kit"
)

func wLMTP() (out, error) {
	c := corpus()
	r := out{"conns": o.conns, "messages": o.msgs, "users": o.users, "rcpts": o.rcpts}
	var next, fails, bytes, acks atomic.Int64
	var mu sync.Mutex
	var lat kit.Lat
	var firstErr error
	got := make([]map[int]bool, o.users)
	for k := range got {
		got[k] = map[int]bool{}
	}
	m := start()
	var wg sync.WaitGroup
	for w := 0; w < o.conns; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			l, err := kit.DialLMTP(o.lmtp)
			if err != nil {
				fails.Add(1)
				mu.Lock()
				firstErr = err
				mu.Unlock()
				return
			}
			defer l.Close()
			var mine kit.Lat
			for {
				i := int(next.Add(1)) - 1
				if i >= o.msgs {
					break
				}
				var rc []string
				var us []int
				for k := 0; k < o.rcpts; k++ {
					u := (i*o.rcpts + k) % o.users
					rc = append(rc, rcptName(u))
					us = append(us, u)
				}
				h, t := c.Head(i), c.Tail(i)
				t0 := time.Now()
				err := l.Deliver("sender@example.com", rc, h, t, func(k int, err error) {
					if err == nil {
						acks.Add(1)
						mu.Lock()
						got[us[k]][i] = true
						mu.Unlock()
					}
				})
				mine.Add(time.Since(t0))
				if err != nil {
					fails.Add(1)
					mu.Lock()
					if firstErr == nil {
						firstErr = err
					}
					mu.Unlock()
					if fails.Load() > 20 {
						break
					}
					continue
				}
				bytes.Add(int64(len(h) + len(t)))
			}
			mu.Lock()
			lat.Merge(&mine)
			mu.Unlock()
		}()
	}
	wg.Wait()
	s := m.stop(r)
	n := float64(lat.N())
	r["msg_s"] = kit.Round(n / s)
	r["deliveries_s"] = kit.Round(float64(acks.Load()) / s)
	r["mb_s"] = kit.Round(float64(bytes.Load()) / s / 1e6)
	r["p50_ms"], r["p99_ms"], r["max_ms"] = lat.P(50), lat.P(99), lat.P(100)
	r["failed"] = fails.Load()
	if o.check {
		miss, bad, seen := 0, 0, 0
		for u := 0; u < o.users; u++ {
			im, err := kit.Login(o.imap, userName(u), o.pass)
			if err != nil {
				return r, err
			}
			b, err := im.Select("INBOX", "", nil)
			if err != nil {
				return r, err
			}
			have := map[int]int{}
			if b.Exists > 0 {
				err = im.Cmd("UID FETCH 1:* (UID BODY.PEEK[])", func(x *kit.Resp) error {
					if len(x.Lits) == 0 {
						return nil
					}
					if _, _, ok := c.Identify(x.Lits[0]); !ok {
						return nil // another run's
					}
					i, err := c.Check(x.Lits[0])
					if err != nil {
						bad++
						return nil
					}
					have[i]++
					seen++
					return nil
				})
				if err != nil {
					return r, err
				}
			}
			for i := range got[u] {
				if have[i] != 1 {
					miss++
				}
			}
			im.Logout()
		}
		r["verified"], r["missing"], r["corrupt"] = seen, miss, bad
		if miss+bad > 0 && firstErr == nil {
			firstErr = fmt.Errorf("%d missing or doubled, %d corrupt", miss, bad)
		}
	}
	return r, firstErr
}
