package config

import (
	"net/url"
	"time"
)

// maxSealSize bounds a segment of the archive.
const maxSealSize = 128 << 20

func (c Config) checkScrub(k *checks) {
	atLeast(k, "scrub.rate", "0 switches it off", c.Scrub.Rate, 0)
	atLeast(k, "scrub.every", "", c.Scrub.Every, Duration(time.Minute))
}

func (c Config) checkArchive(k *checks) {
	a := c.Archive
	if a.URL == "" {
		if a.KeyFile != "" {
			k.add("archive.key_file", "set archive.url, or clear it", "is set, but there is no archive")
		}
		return
	}
	u, err := url.Parse(a.URL)
	if err != nil || (u.Scheme != "file" && u.Scheme != "s3") || (u.Scheme == "file" && u.Path == "") || (u.Scheme == "s3" && u.Host == "") {
		k.add("archive.url", "", `%q: want "file:///DIR" or "s3://BUCKET/PREFIX"`, a.URL)
	}
	between(k, "archive.seal_age", "", a.SealAge, Duration(time.Second), Duration(24*time.Hour))
	between(k, "archive.seal_size", "", a.SealSize, 64<<10, maxSealSize)
	atLeast(k, "archive.throttle", "", a.Throttle, 0)
	for _, n := range []struct {
		key   string
		value int
	}{
		{"archive.keep_last", a.KeepLast}, {"archive.keep_hourly", a.KeepHourly}, {"archive.keep_daily", a.KeepDaily},
		{"archive.keep_weekly", a.KeepWeekly}, {"archive.keep_monthly", a.KeepMonthly},
	} {
		atLeast(k, n.key, "", n.value, 0)
	}
	for _, d := range []struct {
		key   string
		value Duration
	}{{"archive.snapshot_every", a.SnapshotEvery}, {"archive.self_test_every", a.SelfTestEvery}} {
		if d.value != 0 {
			atLeast(k, d.key, "0s switches it off", d.value, Duration(time.Minute))
		}
	}
}
