package message

import (
	"errors"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := Parse(raw)
		checkStructure(t, raw, s)
		m := NewMatcher("needle")
		m.MatchText(raw, s)
		header := s.Parts[0].Header().Of(raw)
		for _, value := range DecodedHeader(header, "Subject") {
			BaseSubject([]byte(value))
			MessageIDs([]byte(value))
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, raw := range corpus(f) {
		f.Add([]byte(Parse(raw).Marshal()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		blob := Blob(b)
		_, errEnvelope := blob.Envelope()
		_, errBody := blob.Body()
		_, _, errFields := blob.CachedHeaderFields([]string{"From"})
		s, err := Unmarshal(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("undocumented error %v", err)
			}
			return
		}
		if errEnvelope != nil || errBody != nil || errFields != nil {
			t.Fatalf("blob is good and bad: %v %v %v", errEnvelope, errBody, errFields)
		}
		for i := range s.Parts {
			for kind := SectionWhole; kind <= SectionMIME; kind++ {
				if e, ok := s.Section(s.Path(i), kind); ok && (e.Start < 0 || e.Len < 0 || e.Start+e.Len > s.Size) {
					t.Fatalf("section %v out of range: %+v", s.Path(i), e)
				}
			}
		}
		s.Marshal()
	})
}
