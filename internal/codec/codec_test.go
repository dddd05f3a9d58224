package codec

import (
	"bytes"
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
		want := rapid.SampledFrom([]event.Encoding{event.Raw, event.Zstd, event.S2}).Draw(t, "encoding")
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
