package auth

// TakeAllSlots makes every later key derivation wait.
func TakeAllSlots(c *Checker) {
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
}

// FreeAllSlots undoes TakeAllSlots.
func FreeAllSlots(c *Checker) {
	for range cap(c.slots) {
		<-c.slots
	}
}

// Waiting is the number of checks that wait for a slot.
func Waiting(c *Checker) int64 { return c.waiting.Load() }

// CacheLen is the number of remembered checks.
func CacheLen(c *Checker) int { return len(c.cache.entries) }

// TableLens are the sizes of a Throttle's tables.
func TableLens(t *Throttle) (addresses, accounts, pairs int) {
	return len(t.addresses.entries), len(t.accounts.entries), len(t.pairs.entries)
}

// ParsePlain is parsePlain.
func ParsePlain(response []byte) (Credentials, error) { return parsePlain(response) }
