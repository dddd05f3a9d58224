package config

import "time"

// minRetain is the least time that the log, or a body without messages, is kept: uploads in progress and readers that lag must be done by then.
const minRetain = Duration(time.Hour)

func (c Config) checkRetention(k *checks) {
	l, r := c.Log, c.Replica
	atLeast(k, "replica.compact_rate", "", r.CompactRate, 0)
	if r.KeepBodies != 0 {
		atLeast(k, "replica.keep_bodies", "0s keeps them for good", r.KeepBodies, minRetain)
	}
	if l.Retain == 0 {
		if l.RetainWithoutArchive {
			k.warn("log.retain_without_archive", "", "has no effect: log.retain is 0")
		}
		return
	}
	atLeast(k, "log.retain", "0s keeps the log for good", l.Retain, minRetain)
	if c.Archive.URL == "" && !l.RetainWithoutArchive {
		k.add("log.retain", "set archive.url, or accept it with retain_without_archive = true", "is set, but there is no archive: what is purged would be lost as history")
	}
	if r.KeepBodies != 0 && r.KeepBodies < l.Retain {
		k.add("replica.keep_bodies", "set it to log.retain at least", "%v: restores from the log need the bodies as far back as the log reaches, %v", r.KeepBodies, l.Retain)
	}
	switch {
	case c.Cluster.Listen != "":
		k.add("log.retain", "leave it 0", "is set, but the log is that of a cluster: it is not known there which nodes still need it")
	case l.URL != "":
		k.add("log.retain", "leave it 0", "is set, but the log is on another server: it is not known here who else reads it")
	}
}
