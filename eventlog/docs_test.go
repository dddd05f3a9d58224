package eventlog_test

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"angarium/eventlog"
	"angarium/eventlog/event"
	"angarium/eventlog/logtest"
)

var updateDocs = flag.Bool("update-docs", false, "write the example in docs/log-format.md anew")

const (
	formatPage    = "../docs/log-format.md"
	formatGrammar = "../docs/log-format.cddl"
	exampleBegin  = "<!-- example -->\n"
	exampleEnd    = "<!-- end of example -->"
)

// TestDocumentationExample holds that the worked example in the format's documentation is what the code writes and reads.
func TestDocumentationExample(t *testing.T) {
	page := string(readFile(t, formatPage))
	before, rest, ok := strings.Cut(page, exampleBegin)
	old, after, ok2 := strings.Cut(rest, exampleEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no example", formatPage)
	}
	want := example(t)
	if *updateDocs {
		if err := os.WriteFile(formatPage, []byte(before+exampleBegin+want+exampleEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != want {
		t.Errorf("the example in %s is stale, run the test with -update-docs; it should be\n%s", formatPage, want)
	}
}

func example(t *testing.T) string {
	t.Helper()
	var b logtest.Builder
	var text strings.Builder
	chain := eventlog.NewChain(eventlog.State{})
	write := func(_ eventlog.Mark, payload []byte) {
		env, err := chain.Extend(eventlog.Message{Position: b.State.Position, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		body := payload[:len(payload)-eventlog.HashSize]
		diagnostic, err := cbor.Diagnose(body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "Position %d, %d bytes:\n\n```\n%s```\n\n", env.Position, len(payload), wrapHex(payload))
		fmt.Fprintf(&text, "Without the hash at the end, in diagnostic notation:\n\n```\n%s\n```\n\n", diagnostic)
		fmt.Fprintf(&text, "Hash: `%s`\n\n", env.Hash)
	}
	write(b.Epoch(t))
	write(b.Next(t, event.Entry{
		Meta: event.Meta{Time: 1709208001000000, Actor: "anna", Service: "imap", Session: "7f3c", Client: "192.0.2.7"},
		Event: &event.FlagsChanged{
			Account: "anna", Mailbox: event.MailboxID{0: 0x01, 15: 0x10}, Modseq: 18,
			Changes: []event.FlagChange{{UIDs: event.UIDsOf(1, 2, 3, 7), Add: []string{`\Seen`}}},
		},
	}))
	return text.String()
}

func wrapHex(b []byte) string {
	var text strings.Builder
	for len(b) > 0 {
		n := min(len(b), 32)
		fmt.Fprintf(&text, "%x\n", b[:n])
		b = b[n:]
	}
	return text.String()
}

var (
	grammarEvent = regexp.MustCompile(`(?m)^event /?= \[(\d+), meta, ([a-z-]+)\]$`)
	grammarField = regexp.MustCompile(`(?m)^  (\? )?(\d+) => [^;]+,\s+; (\w+)$`)
)

// TestDocumentationGrammar holds that the CDDL names every kind, and every field of its body with its key, whether it is optional,
// and its name in the code.
func TestDocumentationGrammar(t *testing.T) {
	grammar := string(readFile(t, formatGrammar))
	rules := map[string]string{}
	for _, m := range grammarEvent.FindAllStringSubmatch(grammar, -1) {
		rules[m[1]] = m[2]
	}
	golden := goldenEvents(t)
	for _, kind := range event.Kinds() {
		rule, ok := rules[fmt.Sprint(uint16(kind))]
		if !ok {
			t.Errorf("the grammar has no event of kind %d (%s)", kind, kind)
			continue
		}
		delete(rules, fmt.Sprint(uint16(kind)))
		checkRule(t, grammar, rule, reflect.TypeOf(golden[kind]).Elem())
	}
	if len(rules) > 0 {
		t.Errorf("the grammar has kinds that do not exist: %v", rules)
	}
}

// checkRule compares a map of the grammar with a struct, and the structs within.
func checkRule(t *testing.T, grammar, rule string, typ reflect.Type) {
	t.Helper()
	_, rest, ok := strings.Cut(grammar, "\n"+rule+" = {\n")
	body, _, ok2 := strings.Cut(rest, "\n}")
	if !ok || !ok2 {
		t.Errorf("the grammar has no rule %s", rule)
		return
	}
	var want []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		want = append(want, fmt.Sprintf("%s %s optional=%v", key, f.Name, strings.Contains(options, "omitempty")))
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		switch inner {
		case reflect.TypeFor[event.Message](), reflect.TypeFor[event.Rename](), reflect.TypeFor[event.Credential]():
			checkRule(t, grammar, strings.ToLower(inner.Name()), inner)
		case reflect.TypeFor[event.FlagChange]():
			checkRule(t, grammar, "flag-change", inner)
		}
	}
	var got []string
	for _, m := range grammarField.FindAllStringSubmatch(body, -1) {
		got = append(got, fmt.Sprintf("%s %s optional=%v", m[2], m[3], m[1] != ""))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rule %s has\n%s\nthe code has\n%s", rule, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
