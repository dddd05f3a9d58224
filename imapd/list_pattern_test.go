package imapd

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPatternMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a/b/c", true},
		{"%", "a", true},
		{"%", "a/b", false},
		{"a/%", "a/b", true},
		{"a/%", "a/b/c", false},
		{"a/%", "a", false},
		{"a/%/c", "a/b/c", true},
		{"*c", "a/b/c", true},
		{"%c", "a/b/c", false},
		{"a*c", "abc", true},
		{"a%%b*%c", "axxbyy/zc", true},
		{"", "a", false},
		{"inbox", "INBOX", true},
		{"InBox/%", "INBOX/x", true},
		{"inb%", "INBOX", true},
		{"inbox/A", "INBOX/a", false},
		{"inboxes", "INBOXES", false},
		{"i%", "INBOX", true},
		{"a", "A", false},
		{"é%", "éa", true},
	} {
		if got := newPattern(tc.pattern).match(tc.name); got != tc.want {
			t.Errorf("%q matches %q: %v", tc.pattern, tc.name, got)
		}
	}
}

// slowMatch is the definition of the wildcards, word for word.
func slowMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if c := pattern[0]; c == '*' || c == '%' {
		for i := 0; i <= len(name); i++ {
			if slowMatch(pattern[1:], name[i:]) {
				return true
			}
			if i < len(name) && name[i] == '/' && c == '%' {
				return false
			}
		}
		return false
	}
	return name != "" && name[0] == pattern[0] && slowMatch(pattern[1:], name[1:])
}

func TestPatternAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPattern(rapid.StringOfN(rapid.RuneFrom([]rune("ab/*%")), 0, 8, -1).Draw(t, "pattern"))
		for range 3 { // the scratch is used again
			name := rapid.StringOfN(rapid.RuneFrom([]rune("ab/")), 0, 12, -1).Draw(t, "name")
			if got, want := p.match(name), slowMatch(p.text, name); got != want {
				t.Fatalf("%q matches %q: %v, want %v", p.text, name, got, want)
			}
		}
	})
}

func TestHostilePatternIsNotExponential(t *testing.T) {
	p := newPattern(strings.Repeat("%a*", 300) + "b")
	start := time.Now()
	if p.match(strings.Repeat("a", 1000)) {
		t.Error("matches")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}
