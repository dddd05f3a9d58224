package codec

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
)

func TestDecodeGivesBackWhatWasEncoded(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "unit"), rapid.IntRange(0, 50).Draw(t, "times"))
		want := rapid.SampledFrom([]Policy{None, Zstd, S2, Auto}).Draw(t, "policy")
		enc, data, err := c.Encode(want, raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > len(raw) {
			t.Fatalf("%d bytes became %d", len(raw), len(data))
		}
		got, err := c.Decode(enc, uint64(len(raw)), data)
		if err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("decoded %q, %v; want %q", got, err, raw)
		}
		if _, err := c.Decode(enc, uint64(len(raw))+1, data); err == nil {
			t.Fatal("a wrong size was not noticed")
		}
	})
}

func TestDecodeRefusesDamage(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, enc := range []event.Encoding{event.Zstd, event.S2, 77} {
		if _, err := c.Decode(enc, 10, []byte("no such thing")); err == nil {
			t.Errorf("%s: no error", enc)
		}
	}
	if _, err := c.Decode(event.Raw, MaxSize+1, nil); err == nil {
		t.Error("a size beyond the limit was not refused")
	}
}

func TestAutoLeavesAttachmentsAsTheyAre(t *testing.T) {
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 60_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	attachment := []byte(base64.StdEncoding.EncodeToString(noise))
	text := bytes.Repeat([]byte("Dear colleagues, the meeting of the budget committee is moved to Thursday.\r\n"), 1000)
	for _, test := range []struct {
		name string
		raw  []byte
		want event.Encoding
	}{
		{"text", text, event.S2},
		{"attachment", attachment, event.Raw},
		{"text before an attachment", append(text[:4000:4000], attachment...), event.Raw},
	} {
		enc, data, err := c.Encode(Auto, test.raw)
		if err != nil {
			t.Fatal(err)
		}
		if enc != test.want {
			t.Errorf("%s of %d bytes became %s of %d, want %s", test.name, len(test.raw), enc, len(data), test.want)
		}
	}
}
