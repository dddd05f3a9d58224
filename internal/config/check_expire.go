package config

import (
	"fmt"
	"strings"
	"time"
)

// maxExpireBatch bounds the messages that one event of a policy expunges.
const maxExpireBatch = 10_000

func (c Config) checkExpire(k *checks) {
	e := c.Expire
	if e.Every != 0 {
		atLeast(k, "expire.every", "0s switches it off", e.Every, Duration(time.Minute))
	}
	between(k, "expire.batch", "", e.Batch, 1, maxExpireBatch)
	atLeast(k, "expire.rate", "", e.Rate, 1)
}

func (c Config) checkPolicies(k *checks) {
	names := map[string]bool{}
	for i, p := range c.Policies {
		key := fmt.Sprintf("policy %d", i+1)
		other := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
		switch {
		case p.Name == "" || len(p.Name) > maxNameLen || strings.ContainsFunc(p.Name, other):
			k.add(key+": name", `as "trash"`, "%q is no name for a policy: want lower-case letters, digits and dashes", p.Name)
		case names[p.Name]:
			k.add(key+": name", "give each its own: it is who expunged, in the history", "there are two policies %q", p.Name)
		}
		names[p.Name] = true
		if p.SpecialUse != "" && !strings.HasPrefix(p.SpecialUse, `\`) {
			k.add(key+": special_use", `as '\Trash'`, "%q is no special use", p.SpecialUse)
		}
		k.oneOf(key+": age_by", p.AgeBy, "", "saved", "received")
		if p.AgeBy != "" && p.MaxAge == 0 {
			k.add(key+": age_by", "set max_age, or leave it out", "there is no max_age")
		}
		if p.MaxAge != 0 {
			atLeast(k, key+": max_age", "", p.MaxAge, Duration(time.Minute))
		}
		atLeast(k, key+": max_messages", "", p.MaxMessages, 0)
		limits := p.MaxAge > 0 || p.MaxMessages > 0 || p.MaxSize > 0
		if !limits && p.KeepExpunged == 0 && p.KeepDeleted == 0 && !p.Final {
			k.add(key, "set a limit, a keep setting, or final = true", "policy %q says nothing", p.Name)
		}
		if limits && p.Domain == "" && p.Account == "" && p.Mailbox == "" && p.SpecialUse == "" {
			k.warn(key, `name a mailbox, as mailbox = "Trash"`, "policy %q expunges from every mailbox of all accounts", p.Name)
		}
	}
}
