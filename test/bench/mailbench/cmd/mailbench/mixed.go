package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"time"

	"mailbench/kit"
)

// wMixed imitates users: -conns of them at a time log in, look for new mail,
// read it, mark it, idle a moment and log out, while mail comes in.
func wMixed() (out, error) {
	c := corpus()
	r := out{"conns": o.conns, "users": o.users, "rate": o.rate}
	end := time.Now().Add(time.Duration(o.secs * float64(time.Second)))
	var sessions, delivered, bad atomic.Int64
	var mu sync.Mutex
	var lat, dl kit.Lat
	var firstErr error
	fail := func(err error) {
		mu.Lock()
		if firstErr == nil {
			firstErr = err
		}
		mu.Unlock()
	}
	m := start()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		l, err := kit.DialLMTP(o.lmtp)
		if err != nil {
			fail(err)
			return
		}
		defer l.Close()
		gap := time.Duration(float64(time.Second) / o.rate)
		next := time.Now()
		for i := 0; time.Now().Before(end); i++ {
			t0 := time.Now()
			if err := l.Deliver("sender@example.com", []string{rcptName(i % o.users)}, c.Head(i), c.Tail(i), nil); err != nil {
				fail(err)
				return
			}
			dl.Add(time.Since(t0))
			delivered.Add(1)
			next = next.Add(gap)
			time.Sleep(time.Until(next))
		}
	}()
	for w := 0; w < o.conns; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			rn := rand.New(rand.NewSource(o.seed + int64(w)))
			for time.Now().Before(end) {
				u := rn.Intn(o.users)
				t0 := time.Now()
				idle, err := session(c, userName(u), rn, &bad)
				if err != nil {
					fail(err)
					return
				}
				d := time.Since(t0) - idle
				mu.Lock()
				lat.Add(d)
				mu.Unlock()
				sessions.Add(1)
			}
		}(w)
	}
	wg.Wait()
	s := m.stop(r)
	r["sessions_s"] = kit.Round(float64(sessions.Load()) / s)
	r["session_p50_ms"], r["session_p99_ms"] = lat.P(50), lat.P(99)
	r["delivered"], r["deliver_p50_ms"], r["deliver_p99_ms"] = delivered.Load(), dl.P(50), dl.P(99)
	r["corrupt"] = bad.Load()
	if bad.Load() > 0 {
		fail(fmt.Errorf("%d corrupt bodies", bad.Load()))
	}
	return r, firstErr
}

func session(c *kit.Corpus, user string, rn *rand.Rand, bad *atomic.Int64) (time.Duration, error) {
	im, err := kit.Login(o.imap, user, o.pass)
	if err != nil {
		return 0, err
	}
	defer im.C.Close()
	b, err := im.Select("INBOX", "", nil)
	if err != nil {
		return 0, err
	}
	if err := im.Cmd(`LIST "" "*"`, nil); err != nil {
		return 0, err
	}
	var unseen []uint32
	if err := im.Cmd("UID SEARCH UNSEEN", func(x *kit.Resp) error {
		if bytes.HasPrefix(x.Line, []byte("* SEARCH")) {
			unseen = kit.UIDs(x.Line)
		}
		return nil
	}); err != nil {
		return 0, err
	}
	if b.Exists > 0 {
		if err := im.Cmd(fmt.Sprintf("FETCH %d:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", max(1, b.Exists-20)), nil); err != nil {
			return 0, err
		}
	}
	for k := 0; k < 2 && k < len(unseen); k++ {
		u := unseen[len(unseen)-1-k]
		if err := im.Cmd(fmt.Sprintf("UID FETCH %d (UID BODYSTRUCTURE BODY.PEEK[])", u), func(x *kit.Resp) error {
			if len(x.Lits) == 0 {
				return nil
			}
			last := x.Lits[len(x.Lits)-1]
			if _, _, ok := c.Identify(last); ok {
				if _, err := c.Check(last); err != nil {
					bad.Add(1)
				}
			}
			return nil
		}); err != nil {
			return 0, err
		}
		if err := im.Cmd(fmt.Sprintf(`UID STORE %d +FLAGS (\Seen)`, u), nil); err != nil {
			return 0, err
		}
	}
	t := im.Send("IDLE")
	if err := im.WaitCont(); err != nil {
		return 0, err
	}
	t0 := time.Now()
	time.Sleep(time.Duration(20+rn.Intn(60)) * time.Millisecond)
	idle := time.Since(t0)
	im.W.WriteString("DONE\r\n")
	if _, err := im.Wait(t, nil); err != nil {
		return 0, err
	}
	return idle, im.Cmd("LOGOUT", nil)
}
