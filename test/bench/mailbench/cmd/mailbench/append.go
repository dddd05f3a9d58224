package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mailbench/kit"
)

// wAppend also fills mailboxes for the read workloads: message i goes to
// user i%users, connection w serves the users k with k%conns == w.
func wAppend() (out, error) {
	c := corpus()
	r := out{"conns": o.conns, "messages": o.msgs, "users": o.users, "multi": o.multi, "literal": o.literal, "box": o.box}
	var mu sync.Mutex
	var lat kit.Lat
	var firstErr error
	var bytes, done atomic.Int64
	cl := make([]*kit.IMAP, o.conns)
	for w := range cl {
		var err error
		if w < o.users {
			if cl[w], err = kit.Login(o.imap, userName(w), o.pass); err != nil {
				return r, err
			}
			if o.box != "INBOX" {
				cl[w].Cmd("CREATE "+o.box, nil)
			}
			if !cl[w].Caps["LITERAL+"] && o.literal == "plus" {
				r["note"] = "no LITERAL+; used synchronizing literals"
				o.literal = "sync"
			}
		}
	}
	m := start()
	var wg sync.WaitGroup
	for w := 0; w < o.conns && w < o.users; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			var mine kit.Lat
			fail := func(err error) {
				mu.Lock()
				if firstErr == nil {
					firstErr = err
				}
				mu.Unlock()
			}
			for u := w; u < o.users; u += o.conns {
				im := cl[w]
				if u != w {
					im.Logout()
					var err error
					if im, err = kit.Login(o.imap, userName(u), o.pass); err != nil {
						fail(err)
						return
					}
					if o.box != "INBOX" {
						im.Cmd("CREATE "+o.box, nil)
					}
					cl[w] = im
				}
				var batch []kit.Msg
				flush := func() error {
					if len(batch) == 0 {
						return nil
					}
					t0 := time.Now()
					err := im.Append(o.box, batch, o.literal == "plus")
					mine.Add(time.Since(t0))
					if err == nil {
						done.Add(int64(len(batch)))
					}
					batch = batch[:0]
					return err
				}
				size := 0
				for i := u; i < o.msgs; i += o.users {
					x := kit.Msg{Head: c.Head(i), Tail: c.Tail(i), Date: c.Date(i)}
					batch = append(batch, x)
					size += len(x.Head) + len(x.Tail)
					bytes.Add(int64(len(x.Head) + len(x.Tail)))
					if len(batch) >= o.multi || size > 32<<20 {
						if err := flush(); err != nil {
							fail(err)
							return
						}
						size = 0
					}
				}
				if err := flush(); err != nil {
					fail(err)
					return
				}
			}
			mu.Lock()
			lat.Merge(&mine)
			mu.Unlock()
		}(w)
	}
	wg.Wait()
	s := m.stop(r)
	r["msg_s"] = kit.Round(float64(done.Load()) / s)
	r["mb_s"] = kit.Round(float64(bytes.Load()) / s / 1e6)
	r["p50_ms"], r["p99_ms"] = lat.P(50), lat.P(99)
	for _, x := range cl {
		if x != nil {
			x.Logout()
		}
	}
	if o.check && firstErr == nil {
		seen := 0
		for u := 0; u < o.users; u++ {
			im, err := kit.Login(o.imap, userName(u), o.pass)
			if err != nil {
				return r, err
			}
			if _, err = im.Select(o.box, "", nil); err != nil {
				return r, err
			}
			have := map[int]bool{}
			err = im.Cmd("UID FETCH 1:* (UID INTERNALDATE BODY.PEEK[])", func(x *kit.Resp) error {
				if len(x.Lits) == 0 {
					return nil
				}
				if _, _, ok := c.Identify(x.Lits[0]); !ok {
					return nil
				}
				i, err := c.Check(x.Lits[0])
				if err == nil && have[i] {
					err = fmt.Errorf("message %d twice", i)
				}
				have[i] = true
				seen++
				return err
			})
			if err != nil {
				return r, err
			}
			im.Logout()
		}
		r["verified"] = seen
		if seen != int(done.Load()) {
			return r, fmt.Errorf("%d of %d messages found", seen, done.Load())
		}
	}
	return r, firstErr
}
