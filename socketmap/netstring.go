package socketmap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var (
	errNetstring = errors.New("malformed netstring")
	errTooLong   = errors.New("netstring too long")
)

// readNetstring reads "<length>:<octets>,". The error is io.EOF only when the input ends before the first octet. The length has no
// leading zeros, and at most limit may be read.
func readNetstring(r *bufio.Reader, limit int) ([]byte, error) {
	length, err := readLength(r, limit)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, length+1)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, unexpected(err)
	}
	if buf[length] != ',' {
		return nil, fmt.Errorf("%w: want a comma", errNetstring)
	}
	return buf[:length], nil
}

// readLength reads the digits and the colon.
func readLength(r *bufio.Reader, limit int) (int, error) {
	length := 0
	for digits := 0; ; digits++ {
		b, err := r.ReadByte()
		switch {
		case err != nil && digits == 0:
			return 0, err
		case err != nil:
			return 0, unexpected(err)
		case b == ':' && digits > 0:
			return length, nil
		case b < '0' || b > '9' || (digits == 1 && length == 0):
			return 0, fmt.Errorf("%w: malformed length", errNetstring)
		}
		if length = 10*length + int(b-'0'); length > limit {
			return 0, fmt.Errorf("%w: more than %d octets", errTooLong, limit)
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendNetstring writes a netstring.
func appendNetstring(buf []byte, status, text string) []byte {
	buf = strconv.AppendInt(buf, int64(len(status)+1+len(text)), 10)
	buf = append(buf, ':')
	buf = append(buf, status...)
	buf = append(buf, ' ')
	buf = append(buf, text...)
	return append(buf, ',')
}
