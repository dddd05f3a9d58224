package message

import (
	"encoding/binary"
	"fmt"
)

// commonEncodings have a number of their own in the encoding of a part.
var commonEncodings = [...]string{"7bit", "8bit", "binary", "base64", "quoted-printable"}

// commonTypes likewise. Position 0 stands for any other type.
var commonTypes = [...][2]string{
	{}, {"text", "plain"}, {"text", "html"}, {"multipart", "mixed"}, {"multipart", "alternative"},
	{"multipart", "related"}, {"multipart", "signed"}, {"message", "rfc822"},
	{"application", "octet-stream"}, {"application", "pdf"}, {"image", "jpeg"}, {"image", "png"},
}

// otherEncoding is the number of an encoding that follows as a string.
const otherEncoding = 7

// appendParts encodes each part as: kind (2 bits), encoding (3 bits); type;
// distance to the parent; distance of the header from the one before; length of header
// and body; lines; charset; and what has no number of its own.
func appendParts(b []byte, parts []Part) []byte {
	start := 0
	for i := range parts {
		p := &parts[i]
		enc, typ := otherEncoding, 0
		for n, name := range commonEncodings {
			if p.Encoding == name {
				enc = n
			}
		}
		for n, name := range commonTypes {
			if p.Type == name[0] && p.Subtype == name[1] {
				typ = n
			}
		}
		b = append(b, byte(p.Kind)|byte(enc)<<2, byte(typ))
		b = binary.AppendUvarint(b, uint64(i-p.Parent))
		b = binary.AppendUvarint(b, uint64(p.HeaderStart-start))
		b = binary.AppendUvarint(b, uint64(p.HeaderLen))
		b = binary.AppendUvarint(b, uint64(p.BodyLen))
		b = binary.AppendUvarint(b, uint64(p.Lines))
		b = appendBlobString(b, p.Charset)
		if typ == 0 {
			b = appendBlobString(appendBlobString(b, p.Type), p.Subtype)
		}
		if enc == otherEncoding {
			b = appendBlobString(b, p.Encoding)
		}
		start = p.HeaderStart
	}
	return b
}

func appendBlobString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeParts is the inverse of appendParts, and checks that the parts form a tree
// within a message of size bytes.
func decodeParts(b []byte, size int) ([]Part, error) {
	d := decoder{rest: b}
	// A part takes 8 bytes or more, so a damaged blob can't make this large.
	parts := make([]Part, 0, min(len(b)/8+1, MaxParts, 16))
	start := 0
	for len(d.rest) > 0 {
		p := d.part(len(parts), start)
		if d.bad || len(parts) == MaxParts || !p.fits(parts, size) {
			return nil, fmt.Errorf("%w: part %d", ErrCorrupt, len(parts))
		}
		if p.Parent >= 0 {
			parts[p.Parent].Children++
			p.Number = parts[p.Parent].Children
		}
		parts = append(parts, p)
		start = p.HeaderStart
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: no parts", ErrCorrupt)
	}
	for i := range parts {
		p := &parts[i]
		if (p.Kind == Leaf) != (p.Children == 0) ||
			p.Kind == Embedded && (p.Children != 1 || parts[i+1].Parent != i) {
			return nil, fmt.Errorf("%w: children of part %d", ErrCorrupt, i)
		}
	}
	return parts, nil
}

// part reads the part at index i; the header of the one before began at start.
func (d *decoder) part(i, start int) Part {
	if len(d.rest) < 2 {
		d.bad, d.rest = true, nil
		return Part{}
	}
	code, typ := d.rest[0], int(d.rest[1])
	d.rest = d.rest[2:]
	p := Part{Kind: Kind(code & 3)}
	p.Parent = i - d.int()
	p.HeaderStart = start + d.int()
	p.HeaderLen = d.int()
	p.BodyLen = d.int()
	p.Lines = d.int()
	p.Charset = d.string()
	switch {
	case typ == 0:
		p.Type, p.Subtype = d.string(), d.string()
	case typ < len(commonTypes):
		p.Type, p.Subtype = commonTypes[typ][0], commonTypes[typ][1]
	default:
		d.bad = true
	}
	switch enc := int(code >> 2); {
	case enc == otherEncoding:
		p.Encoding = d.string()
	case enc < len(commonEncodings):
		p.Encoding = commonEncodings[enc]
	default:
		d.bad = true
	}
	return p
}

// fits reports whether p may follow parts in a message of size bytes.
func (p *Part) fits(parts []Part, size int) bool {
	if p.Kind > Embedded || p.Parent >= len(parts) || p.HeaderStart > size ||
		p.HeaderLen > size-p.HeaderStart || p.BodyLen > size-p.BodyStart() {
		return false
	}
	if len(parts) == 0 {
		return p.Parent == -1 && p.HeaderStart == 0 && p.end() == size
	}
	if p.Parent < 0 {
		return false
	}
	parent := &parts[p.Parent]
	depth := 1
	for i := p.Parent; i >= 0; i = parts[i].Parent {
		depth++
	}
	return depth <= MaxDepth && parent.Kind != Leaf && p.HeaderStart >= parent.BodyStart() && p.end() <= parent.end()
}
