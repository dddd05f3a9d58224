package address_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"angarium/internal/auth"
	"angarium/lmtpd/address"
	"angarium/mailstore"
)

func TestPaths(t *testing.T) {
	for _, tt := range []struct{ in, local, domain, rest string }{
		{"<ann@example.org>", "ann", "example.org", ""},
		{"<ann>", "ann", "", ""},
		{"<postmaster> X=1", "postmaster", "", " X=1"},
		{"<@relay.example,@b.example:ann@example.org> SIZE=1", "ann", "example.org", " SIZE=1"},
		{`<"a b\"c@d"@example.org>`, `a b"c@d`, "example.org", ""},
		{`<"ann">`, "ann", "", ""},
		{"<ann+Lists/Go@example.org>", "ann+Lists/Go", "example.org", ""},
		{"<.a..b.@example.org>", ".a..b.", "example.org", ""},
		{"<ann@[192.0.2.1]>", "ann", "[192.0.2.1]", ""},
		{"<ann@[IPv6:2001:db8::1]>", "ann", "[IPv6:2001:db8::1]", ""},
		{"<\u00e9va@\u4f8b.jp>", "\u00e9va", "\u4f8b.jp", ""},
	} {
		m, rest, err := address.ForwardPath(tt.in)
		if err != nil || m.Local != tt.local || m.Domain != tt.domain || rest != tt.rest {
			t.Errorf("ForwardPath(%q) = %+v, %q, %v", tt.in, m, rest, err)
		}
	}
	if m, rest, err := address.ReversePath("<> SIZE=3"); err != nil || m != (address.Mailbox{}) || rest != " SIZE=3" || m.String() != "" {
		t.Errorf("null path: %+v, %q, %v", m, rest, err)
	}
}

func TestMalformedPathsAreRefused(t *testing.T) {
	for _, in := range []string{
		"", "<", ">", "<>", "ann@example.org", "<ann", "<ann@example.org", "<@example.org>", "<ann@>", "<ann@a@b>", "<a b@c>", "<ann@a b>",
		`<"ann@example.org>`, `<"ann\`, `<"ann"x@example.org>`, `<""@example.org>`, "<ann@example.org>SIZE=1", "<@relay.example>", "<@relay.example",
		"<a\x00b@c>", "<\"a\rb\"@c>", "<a@b\r>", "<a\x7f@b>", "<a\xff@b>", "<a@\xff>", "<ann@[]>", "<<ann@example.org>>", "<a\u2028b@c>",
		"<" + strings.Repeat("a", address.MaxBytes) + "@b>",
	} {
		if m, _, err := address.ForwardPath(in); !errors.Is(err, address.ErrSyntax) {
			t.Errorf("ForwardPath(%q) = %+v, %v", in, m, err)
		}
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		m    address.Mailbox
		want string
	}{
		{address.Mailbox{Local: "ann", Domain: "example.org"}, "ann@example.org"},
		{address.Mailbox{Local: "ann"}, "ann"},
		{address.Mailbox{Local: "a b", Domain: "c"}, `"a b"@c`},
		{address.Mailbox{Local: `a"\@`, Domain: "c"}, `"a\"\\@"@c`},
		{address.Mailbox{Local: "a..b", Domain: "c"}, `"a..b"@c`},
		{address.Mailbox{Local: "a.", Domain: "c"}, `"a."@c`},
	} {
		if got := tt.m.String(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}

func TestKey(t *testing.T) {
	for _, tt := range []struct{ in, local, domain string }{
		{"ann@example.org", "ann", "example.org"},
		{"ann", "ann", ""},
		{"a b@example.org", "a b", "example.org"},
		{`"a b"@example.org`, "a b", "example.org"},
		{`"a b@example.org`, `"a b`, "example.org"},
		{"a@b@example.org", "a@b", "example.org"},
	} {
		m, err := address.Key(tt.in)
		if err != nil || m.Local != tt.local || m.Domain != tt.domain {
			t.Errorf("Key(%q) = %+v, %v", tt.in, m, err)
		}
	}
	for _, in := range []string{"", "@", "@example.org", "ann@", "a\nb", "\xff", strings.Repeat("a", 1000)} {
		if m, err := address.Key(in); !errors.Is(err, address.ErrSyntax) {
			t.Errorf("Key(%q) = %+v, %v", in, m, err)
		}
	}
}

func TestResolve(t *testing.T) {
	r := address.Resolver{DefaultDomain: "Example.org", Delimiter: "+", Postmaster: "ann"}
	for _, tt := range []struct{ in, account, mailbox string }{
		{"<Ann@EXAMPLE.org>", "ann@example.org", ""},
		{"<ANN>", "ann@example.org", ""},
		{"<ann+Lists/Go@example.com>", "ann@example.com", "Lists/Go"},
		{"<ann+a+b@example.org>", "ann@example.org", "a+b"},
		{"<ann+@example.org>", "ann@example.org", ""},
		{"<+ann@example.org>", "+ann@example.org", ""},
		{"<ann+inbox>", "ann@example.org", "INBOX"},
		{`<"ann+My Folder"@example.org>`, "ann@example.org", "My Folder"},
		{"<ann+a//b@example.org>", "ann@example.org", ""},
		{"<ann+100%@example.org>", "ann@example.org", ""},
		{"<Postmaster>", "ann@example.org", ""},
		{"<postmaster+x@example.com>", "ann@example.org", "x"},
	} {
		m, _, err := address.ForwardPath(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Resolve(m)
		if want := (mailstore.Recipient{Account: tt.account, Mailbox: tt.mailbox}); err != nil || got != want {
			t.Errorf("Resolve(%s) = %+v, %v; want %+v", tt.in, got, err, want)
		}
	}
	for _, in := range []string{"<ann@[192.0.2.1]>", `<"a b"@example.org>`, "<ann@example..org>", `<"a/b"@example.org>`} {
		m, _, err := address.ForwardPath(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Resolve(m); !errors.Is(err, auth.ErrBadName) {
			t.Errorf("Resolve(%s) = %+v, %v", in, got, err)
		}
	}
	plain := address.Resolver{}
	if got, err := plain.Resolve(address.Mailbox{Local: "a+b"}); err != nil || got != (mailstore.Recipient{Account: "a+b"}) {
		t.Errorf("without delimiter: %+v, %v", got, err)
	}
}

func FuzzForwardPath(f *testing.F) {
	for _, s := range []string{
		"<ann@example.org> SIZE=1", "<ann>", `<"a \"b@c\\"@d>`, "<@a,@b:c@d>", "<a@[IPv6:::1]>", "<>", "<\u00e9@\u4f8b.jp>", `<"\`,
	} {
		f.Add(s)
	}
	r := address.Resolver{DefaultDomain: "example.org", Delimiter: "+"}
	f.Fuzz(func(t *testing.T, s string) {
		m, rest, err := address.ForwardPath(s)
		if err != nil {
			if !errors.Is(err, address.ErrSyntax) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if !strings.HasSuffix(s, rest) {
			t.Fatalf("rest %q of %q", rest, s)
		}
		text := m.String()
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q written as %q", s, text)
		}
		again, rest, err := address.ForwardPath("<" + text + ">")
		if err != nil || again != m || rest != "" {
			t.Fatalf("%q read back as %+v, %q, %v; want %+v", text, again, rest, err, m)
		}
		to, err := r.Resolve(m)
		if err != nil {
			return
		}
		if twice, err := auth.CanonicalName(to.Account, "example.org"); err != nil || twice != to.Account {
			t.Fatalf("account %q is not canonical: %q, %v", to.Account, twice, err)
		}
	})
}
