package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"time"

	"mailbench/kit"
)

func wFlags() (out, error) {
	im, b, err := open("")
	if err != nil {
		return nil, err
	}
	defer im.Logout()
	r := out{"exists": b.Exists}
	rn := rand.New(rand.NewSource(o.seed))
	if err := im.Cmd(`UID STORE 1:* -FLAGS.SILENT (\Flagged \Answered $Bench)`, nil); err != nil {
		return r, err
	}
	ops := min(o.msgs, b.Exists)
	perm := rn.Perm(b.Exists)[:ops]
	m := start()
	var lat kit.Lat
	for _, p := range perm {
		t0 := time.Now()
		if err := im.Cmd(fmt.Sprintf(`STORE %d +FLAGS.SILENT (\Flagged)`, p+1), nil); err != nil {
			return r, err
		}
		lat.Add(time.Since(t0))
	}
	s := m.stop(r)
	r["single_ops_s"] = kit.Round(float64(ops) / s)
	r["single_p50_ms"], r["single_p99_ms"] = lat.P(50), lat.P(99)
	count := func(key string) int {
		n := -1
		im.Cmd("SEARCH "+key, func(x *kit.Resp) error {
			if bytes.HasPrefix(x.Line, []byte("* SEARCH")) {
				n = len(kit.UIDs(x.Line))
			}
			return nil
		})
		return n
	}
	if n := count("FLAGGED"); n != ops {
		return r, fmt.Errorf("%d flagged, want %d", n, ops)
	}
	// Pipelined, 50 at a time, with answers.
	t0 := time.Now()
	for k := 0; k < ops; k += 50 {
		last := ""
		for j := k; j < k+50 && j < ops; j++ {
			last = im.Send(fmt.Sprintf(`STORE %d +FLAGS (\Answered)`, perm[j]+1))
		}
		if _, err := im.Wait(last, nil); err != nil {
			return r, err
		}
	}
	r["pipelined_ops_s"] = kit.Round(float64(ops) / time.Since(t0).Seconds())
	if n := count("ANSWERED"); n != ops {
		return r, fmt.Errorf("%d answered, want %d", n, ops)
	}
	var v []float64
	for k := 0; k < o.repeat; k++ {
		sign := "+"
		if k%2 == 1 {
			sign = "-"
		}
		t0 = time.Now()
		if err := im.Cmd(`STORE 1:* `+sign+`FLAGS.SILENT ($Bench)`, nil); err != nil {
			return r, err
		}
		v = append(v, time.Since(t0).Seconds())
		want := b.Exists * ((k + 1) % 2)
		if n := count("KEYWORD $Bench"); n != want {
			return r, fmt.Errorf("%d with keyword, want %d", n, want)
		}
	}
	r["range_s"], r["range_msg_s"] = median(v), int(float64(b.Exists)/median(v))
	return r, nil
}
