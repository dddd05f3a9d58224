package main

import (
	"sort"

	"mailbench/kit"
)

func wCorpus() (out, error) {
	c := corpus()
	var sz []int
	sum, att := 0, 0
	for i := 0; i < o.msgs; i++ {
		s := c.Size(i)
		sz = append(sz, s)
		sum += s
		if c.HasAttachment(i) {
			att++
		}
	}
	sort.Ints(sz)
	return out{"n": o.msgs, "median": sz[len(sz)/2], "mean": sum / len(sz), "p99": sz[len(sz)*99/100], "max": sz[len(sz)-1], "attachments": float64(att) / float64(o.msgs), "sample": string(c.Head(5))}, nil
}

// wUsers makes sure that every user's INBOX exists.
func wUsers() (out, error) {
	r := out{"users": o.users}
	m := start()
	if o.admin != "" {
		c, err := kit.Login(o.imap, o.admin, o.pass)
		if err != nil {
			return r, err
		}
		for k := 0; k < o.users; k++ {
			if err := c.Cmd("CREATE user/"+userName(k), nil); err != nil && k == 0 {
				r["create_note"] = err.Error()
			}
		}
		c.Logout()
	} else {
		for k := 0; k < o.users; k++ {
			c, err := kit.Login(o.imap, userName(k), o.pass)
			if err != nil {
				return r, err
			}
			if _, err = c.Select("INBOX", "", nil); err != nil {
				return r, err
			}
			c.Logout()
		}
	}
	s := m.stop(r)
	r["users_s"] = kit.Round(float64(o.users) / s)
	return r, nil
}
