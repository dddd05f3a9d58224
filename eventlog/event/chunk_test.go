package event

import (
	"bytes"
	"testing"
)

func TestChunkSharesMemory(t *testing.T) {
	for _, size := range []int{1, 23, 24, 255, 256, 65535, 65536} {
		data := bytes.Repeat([]byte{'x'}, size)
		chunk := &BodyChunk{Size: uint64(size), Stored: uint64(size), Data: data, Structure: []byte{1}}
		b, err := Encode(Entry{Meta: Meta{}, Event: chunk})
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(b)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		got := e.Event.(*BodyChunk).Data
		if !bytes.Equal(got, data) || cap(got) != len(got) {
			t.Fatalf("%d bytes came back as %d, with room for %d", size, len(got), cap(got))
		}
		b[bytes.LastIndexByte(b, 'x')] = 'y'
		if got[size-1] != 'y' {
			t.Errorf("%d bytes were copied", size)
		}
	}
}

func TestChunkDataIsAByteString(t *testing.T) {
	b, err := Encode(Entry{Event: &BodyChunk{Size: 3, Stored: 3, Data: []byte("abc"), Structure: []byte{1}}})
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte("\x43abc"), []byte("\x63abc"), 1) // a text string
	if _, err := Decode(b); err == nil {
		t.Error("a text string was taken for data")
	}
}
