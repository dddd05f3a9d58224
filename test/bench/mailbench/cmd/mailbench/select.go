package main

import (
	"time"

	"mailbench/kit"
)

func open(args string) (*kit.IMAP, kit.Box, error) {
	im, err := kit.Login(o.imap, userName(0), o.pass)
	if err != nil {
		return nil, kit.Box{}, err
	}
	b, err := im.Select(o.box, args, nil)
	return im, b, err
}

func wSelect() (out, error) {
	r := out{}
	var lat kit.Lat
	for k := 0; k < o.repeat; k++ {
		im, err := kit.Login(o.imap, userName(0), o.pass)
		if err != nil {
			return r, err
		}
		t0 := time.Now()
		b, err := im.Select(o.box, "", nil)
		if err != nil {
			return r, err
		}
		lat.Add(time.Since(t0))
		r["exists"] = b.Exists
		im.Logout()
	}
	r["p50_ms"], r["p99_ms"] = lat.P(50), lat.P(99)
	return r, nil
}
