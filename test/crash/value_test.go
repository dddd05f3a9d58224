package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseLine(t *testing.T) {
	tests := []struct{ in, want string }{
		{`* 3 EXISTS`, `3 EXISTS`},
		{`* OK [UIDNEXT 3] a "text (`, `OK [UIDNEXT 3] a "text (`},
		{`* LIST (\HasNoChildren) "/" "a \"b\\"`, `LIST (\HasNoChildren) / a "b\`},
		{"* 1 FETCH (UID 7 FLAGS () BODY[HEADER.FIELDS (X Y)] {5}\r\na(b)c MODSEQ (9))", `1 FETCH (UID 7 FLAGS () BODY[HEADER.FIELDS (X Y)] a(b)c MODSEQ (9))`},
		{`* 1 FETCH (UID 7`, "error"},
		{`* 1 FETCH UID)`, "error"},
		{`* 1 FETCH ("x`, "error"},
		{"* 1 FETCH ({9}\r\nabc)", "error"},
		{"* " + strings.Repeat("(", 100), "error"},
		{`+ idling`, "error"},
	}
	for _, tt := range tests {
		l, err := parseLine([]byte(tt.in))
		got := l.status + flat(l.values)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func flat(values []value) string {
	var parts []string
	for _, v := range values {
		if v.isList {
			parts = append(parts, "("+flat(v.list)+")")
		} else {
			parts = append(parts, v.text)
		}
	}
	return strings.Join(parts, " ")
}

func TestParseUIDSet(t *testing.T) {
	got, err := parseUIDSet("7,3:5")
	if err != nil || !slices.Equal(got, []uint32{7, 3, 4, 5}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "x", "3:", "5:3", "1:4294967295", "1,,2"} {
		if got, err := parseUIDSet(bad); err == nil {
			t.Errorf("%s: got %v", bad, fmt.Sprint(got))
		}
	}
}
