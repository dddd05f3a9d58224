package notify_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"angarium/notify"
)

type schema struct{ s *jsonschema.Schema }

// loadSchema reads the published schema, and closes it to parameters that it does not name: consumers have to pass over those, we may not send
// them.
func loadSchema(t testing.TB) schema {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "events.schema.json"))
	must(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	must(t, err)
	doc.(map[string]any)["additionalProperties"] = false
	c := jsonschema.NewCompiler()
	must(t, c.AddResource("events.schema.json", doc))
	s, err := c.Compile("events.schema.json")
	must(t, err)
	return schema{s}
}

func (s schema) check(t testing.TB, event []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	must(t, err)
	if err := s.s.Validate(v); err != nil {
		t.Errorf("%s\n%v", event, err)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := loadSchema(t)
	good := `"schema":1,"timestamp":"2024-02-29T12:00:00.123Z","user":"anna","uri":"imap://anna@h/"`
	s.check(t, []byte(`{"event":"Login",`+good+`}`))
	for name, event := range map[string]string{
		"unknown event":          `{"event":"Nonsense",` + good + `}`,
		"no place":               `{"event":"vnd.angarium.AccountDelete",` + good + `}`,
		"place of a login":       `{"event":"Login","shard":0,"position":1,"index":0,` + good + `}`,
		"unknown parameter":      `{"event":"Login","spam":true,` + good + `}`,
		"expunge without uidset": `{"event":"MessageExpunge","shard":0,"position":1,"index":0,"modseq":1,"mailboxUniqueId":"00000000000000000000000000000001",` + good + `}`,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(event))
		must(t, err)
		if s.s.Validate(v) == nil {
			t.Errorf("%s: the schema takes %s", name, event)
		}
	}
}

func TestDocumentationHasAnExampleOfEveryEvent(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "events.md"))
	must(t, err)
	s := loadSchema(t)
	seen := map[notify.Name]bool{}
	for i, block := range strings.Split(string(doc), "```json\n")[1:] {
		text, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatalf("example %d does not end", i+1)
		}
		var e notify.Event
		must(t, json.Unmarshal([]byte(text), &e))
		seen[e.Event] = true
		s.check(t, []byte(text))
	}
	for _, n := range notify.Names() {
		if !seen[n] {
			t.Errorf("docs/events.md has no example of %s", n)
		}
	}
}
