package message

import "strconv"

// appendString appends b as an IMAP string (RFC 9051, section 4.3): quoted if
// it is printable ASCII, a literal otherwise, always without NUL.
func appendString(dst, b []byte) []byte {
	nuls, plain := 0, true
	for _, c := range b {
		if c == 0 {
			nuls++
		} else if c < ' ' && c != '\t' || c >= 0x7F {
			plain = false
		}
	}
	if !plain {
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(b)-nuls), 10)
		dst = append(dst, "}\r\n"...)
		for _, c := range b {
			if c != 0 {
				dst = append(dst, c)
			}
		}
		return dst
	}
	dst = append(dst, '"')
	for _, c := range b {
		switch c {
		case 0:
			continue
		case '"', '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendNString appends NIL for nil, else the string.
func appendNString(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "NIL"...)
	}
	return appendString(dst, b)
}
