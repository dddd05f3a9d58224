package main

import (
	"fmt"
	"os/exec"
	"time"

	"mailbench/kit"
)

// wStartup times start until a login + SELECT works and LMTP greets, after a
// clean stop and after SIGKILL.
func wStartup() (out, error) {
	r := out{"messages": o.msgs}
	o.pid = 0 // it changes
	run := func(c string) error { return exec.Command("bash", "-c", c).Run() }
	once := func(stop string) (float64, float64, error) {
		if err := run(stop); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", stop, err)
		}
		time.Sleep(300 * time.Millisecond)
		t0 := time.Now()
		cmd := exec.Command("bash", "-c", o.startCmd)
		if err := cmd.Start(); err != nil {
			return 0, 0, err
		}
		defer cmd.Wait()
		var im, lm float64
		for (im == 0 || lm == 0) && time.Since(t0) < 60*time.Second {
			if im == 0 {
				if c, err := kit.Login(o.imap, userName(0), o.pass); err == nil {
					if _, err := c.Select(o.box, "", nil); err == nil {
						im = time.Since(t0).Seconds() * 1000
					}
					c.C.Close()
				}
			}
			if lm == 0 {
				if l, err := kit.DialLMTP(o.lmtp); err == nil {
					lm = time.Since(t0).Seconds() * 1000
					l.Close()
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
		if im == 0 || lm == 0 {
			return 0, 0, fmt.Errorf("not up in 60 s")
		}
		return im, lm, nil
	}
	for _, x := range []struct{ key, cmd string }{{"clean", o.stopCmd}, {"killed", o.killCmd}} {
		var a, b []float64
		for k := 0; k < o.repeat; k++ {
			i, l, err := once(x.cmd)
			if err != nil {
				return r, err
			}
			a, b = append(a, i), append(b, l)
			time.Sleep(500 * time.Millisecond)
		}
		r[x.key+"_imap_ms"], r[x.key+"_lmtp_ms"] = median(a), median(b)
	}
	return r, nil
}
