package socketmap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

func FuzzNetstring(f *testing.F) {
	for _, s := range []string{"3:abc,", "0:,", "5:x ann,5:x bob,", "01:a,", "99999999999999999999:", "3:abc;", "3:ab", ":", "x", ""} {
		f.Add([]byte(s))
	}
	const limit = 100
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReader(bytes.NewReader(in))
		var read []byte
		for {
			s, err := readNetstring(r, limit)
			if err != nil {
				switch {
				case errors.Is(err, io.EOF):
					if !bytes.Equal(read, in) {
						t.Fatalf("%q ended after %q", in, read)
					}
				case !errors.Is(err, errNetstring) && !errors.Is(err, errTooLong) && !errors.Is(err, io.ErrUnexpectedEOF):
					t.Fatalf("%q: %v", in, err)
				}
				return
			}
			if len(s) > limit {
				t.Fatalf("%d octets", len(s))
			}
			read = fmt.Appendf(read, "%d:%s,", len(s), s)
			if !bytes.HasPrefix(in, read) {
				t.Fatalf("%q read as %q", in, read)
			}
		}
	})
}

func TestAppendNetstring(t *testing.T) {
	got := appendNetstring(appendNetstring(nil, "OK", "a"), "NOTFOUND", "")
	if string(got) != "4:OK a,9:NOTFOUND ," {
		t.Errorf("%q", got)
	}
}
