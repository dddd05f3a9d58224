package auth_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"angarium/internal/auth"
)

func TestCanonicalName(t *testing.T) {
	for _, tt := range []struct{ name, domain, want string }{
		{"ann", "", "ann"},
		{"ann", "example.org", "ann@example.org"},
		{"ANN", "Example.ORG", "ann@example.org"},
		{"ann@example.com", "example.org", "ann@example.com"},
		{"Ann@Example.ORG", "", "ann@example.org"},
		{"o'brien+x_y-z=1", "", "o'brien+x_y-z=1"},
		{"a.b.c", "", "a.b.c"},
		{"JOSE\u0301", "", "jos\u00e9"},
		{"jos\u00c9", "", "jos\u00e9"},
		{"\u212aelvin", "", "kelvin"},
		{"\u30e6\u30fc\u30b6@\u4f8b.jp", "", "\u30e6\u30fc\u30b6@\u4f8b.jp"},
		{strings.Repeat("a", auth.MaxNameLen), "", strings.Repeat("a", auth.MaxNameLen)},
	} {
		got, err := auth.CanonicalName(tt.name, tt.domain)
		if err != nil || got != tt.want {
			t.Errorf("CanonicalName(%q, %q) = %q, %v; want %q", tt.name, tt.domain, got, err, tt.want)
		}
	}
}

func TestCanonicalNameRefuses(t *testing.T) {
	for _, tt := range []struct{ why, name, domain string }{
		{"empty", "", ""},
		{"empty with default domain", "", domain},
		{"no local part", "@example.org", ""},
		{"no domain", "ann@", domain},
		{"two at signs", "a@b@example.org", ""},
		{"leading dot", ".ann", ""},
		{"parent directory", "..", ""},
		{"domain with a leading dot", "ann@.example.org", ""},
		{"domain with a trailing dot", "ann@example.org.", ""},
		{"domain with an empty label", "ann@example..org", ""},
		{"slash", "a/b", ""},
		{"backslash", `a\b`, ""},
		{"asterisk", "a*", ""},
		{"percent", "a%", ""},
		{"slash in the domain", "a@b/c", ""},
		{"NUL", "a\x00b", ""},
		{"newline", "a\nb", ""},
		{"DEL", "a\x7f", ""},
		{"C1 control", "a\u0085", ""},
		{"space", "a b", ""},
		{"no-break space", "a\u00a0b", ""},
		{"zero-width joiner", "a\u200db", ""},
		{"right-to-left override", "a\u202eb", ""},
		{"normalizes to a semicolon", "a\u037e", ""},
		{"replacement character", "a\ufffd", ""},
		{"not UTF-8", "a\xff", ""},
		{"unassigned", "a\u0378", ""},
		{"too long", strings.Repeat("a", auth.MaxNameLen+1), ""},
		{"too long with the domain", strings.Repeat("a", auth.MaxNameLen), domain},
		{"malformed default domain", "ann", "exa mple"},
	} {
		got, err := auth.CanonicalName(tt.name, tt.domain)
		if !errors.Is(err, auth.ErrBadName) || got != "" {
			t.Errorf("%s: CanonicalName(%q, %q) = %q, %v; want ErrBadName", tt.why, tt.name, tt.domain, got, err)
		}
	}
}

func FuzzCanonicalName(f *testing.F) {
	for _, s := range []string{"ann", "Ann@Example.org", "JOSE\u0301", "\u0130stanbul", "\u1e9e", "a\u0345\u0301", "..", "a@b@c", "\xff", "a\u037e", "\u03a3"} {
		f.Add(s, "")
		f.Add(s, "example.org")
	}
	f.Fuzz(func(t *testing.T, name, defaultDomain string) {
		got, err := auth.CanonicalName(name, defaultDomain)
		if err != nil {
			if !errors.Is(err, auth.ErrBadName) || got != "" {
				t.Fatalf("CanonicalName(%q, %q) = %q, %v", name, defaultDomain, got, err)
			}
			return
		}
		if len(got) == 0 || len(got) > auth.MaxNameLen || !utf8.ValidString(got) || got[0] == '.' {
			t.Fatalf("CanonicalName(%q, %q) = %q", name, defaultDomain, got)
		}
		if strings.ContainsAny(got, "/\\*% \"\x00\r\n") || strings.IndexFunc(got, unicode.IsControl) >= 0 {
			t.Fatalf("CanonicalName(%q, %q) = %q has a forbidden character", name, defaultDomain, got)
		}
		if defaultDomain != "" && strings.Count(got, "@") != 1 {
			t.Fatalf("CanonicalName(%q, %q) = %q has no domain", name, defaultDomain, got)
		}
		if again, err := auth.CanonicalName(got, defaultDomain); err != nil || again != got {
			t.Fatalf("not idempotent: %q became %q, %v", got, again, err)
		}
		upper := strings.Map(func(r rune) rune {
			if r < utf8.RuneSelf {
				return unicode.ToUpper(r)
			}
			return r
		}, got)
		if again, err := auth.CanonicalName(upper, defaultDomain); err != nil || again != got {
			t.Fatalf("case matters: %q became %q, %v; want %q", upper, again, err, got)
		}
	})
}
