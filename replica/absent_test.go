package replica

import "testing"

func TestAbsentIsOnlyWhatIsCertain(t *testing.T) {
	key := []byte("b-key")
	look := func(a *absent, meanwhile func()) {
		n := a.begin(key)
		meanwhile()
		a.end(key, n)
	}
	nothing := func() {}
	for name, c := range map[string]struct {
		do   func(a *absent)
		want bool
	}{
		"never asked":                       {func(a *absent) {}, false},
		"looked up":                         {func(a *absent) { look(a, nothing) }, true},
		"looked up, then written":           {func(a *absent) { look(a, nothing); a.wrote(key) }, false},
		"looked up, written and committed":  {func(a *absent) { look(a, nothing); a.wrote(key); a.settle() }, false},
		"looked up while it was written":    {func(a *absent) { look(a, func() { a.wrote(key) }) }, false},
		"looked up before the commit":       {func(a *absent) { a.wrote(key); look(a, nothing) }, false},
		"looked up across the commit":       {func(a *absent) { a.wrote(key); look(a, a.settle) }, false},
		"written whole during the look":     {func(a *absent) { look(a, func() { a.wrote(key); a.settle() }) }, false},
		"looked up across, and once more":   {func(a *absent) { a.wrote(key); look(a, a.settle); look(a, nothing) }, true},
		"an earlier look does not end this": {func(a *absent) { n := a.begin(key); a.begin(key); a.end(key, n) }, false},
		"not ended":                         {func(a *absent) { a.begin(key) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &absent{}
			c.do(a)
			if got := a.has(key); got != c.want {
				t.Errorf("absent: %t, want %t", got, c.want)
			}
		})
	}
}

func TestAbsentIsBounded(t *testing.T) {
	a := &absent{}
	for i := range 3 * maxAbsent {
		key := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		a.end(key, a.begin(key))
		if len(a.keys) > maxAbsent {
			t.Fatalf("%d keys are kept", len(a.keys))
		}
	}
}
