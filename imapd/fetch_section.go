package imapd

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"angarium/message"
)

// section writes BODY[…], BINARY[…] or an RFC822 item. A section that the message does not have is NIL.
func (w *fetchWriter) section(c *content, item *sectionItem) {
	data, ok, err := item.data(c)
	if errors.Is(err, message.ErrUnknownEncoding) {
		w.unknownEncoding = true // RFC 3516, section 4.3
		return
	}
	if err != nil {
		w.fail(err)
		return
	}
	w.label(item, "BINARY[")
	switch {
	case !ok:
		w.s.enc.NIL()
	case item.binary && bytes.IndexByte(data, 0) >= 0:
		w.s.enc.Literal8(data)
	default:
		w.s.enc.Literal(data)
	}
}

// label begins the item as the client named it, in upper case and without PEEK and the count of octets.
func (w *fetchWriter) label(item *sectionItem, binary string) {
	enc := w.s.enc
	switch {
	case item.label != "":
		w.item(item.label)
		enc.SP()
		return
	case item.binary:
		w.item(binary)
	default:
		w.item("BODY[")
	}
	enc.Raw(item.text)
	for i, name := range item.fields {
		if i == 0 {
			enc.Raw(" (")
		} else {
			enc.SP()
		}
		enc.AString(name)
	}
	if len(item.fields) > 0 {
		enc.Byte(')')
	}
	enc.Byte(']')
	if item.partial {
		enc.Byte('<').Number(item.offset).Byte('>')
	}
	enc.SP()
}

// data gives the octets of the section, cut to what was asked for.
func (item *sectionItem) data(c *content) (data []byte, ok bool, err error) {
	if len(item.fields) > 0 && !item.not && len(item.path) == 0 {
		if blob, err := c.blob(); err == nil {
			if block, ok, err := blob.CachedHeaderFields(item.fields); ok && err == nil {
				return item.cut(block), true, nil
			}
		}
	}
	raw, err := c.body()
	if err != nil {
		return nil, false, err
	}
	if len(item.path) == 0 && item.kind == message.SectionWhole {
		return item.cut(raw), true, nil
	}
	parts, err := c.parts()
	if err != nil {
		return nil, false, err
	}
	data, ok = parts.SectionBytes(raw, item.path, item.kind)
	switch {
	case !ok:
		return nil, false, nil
	case item.binary:
		data, err = item.decode(encodingOf(parts, item.path), data)
		return data, err == nil, err
	case item.not:
		data = message.HeaderFieldsNot(data, item.fields)
	case len(item.fields) > 0:
		data = message.HeaderFields(data, item.fields)
	}
	return item.cut(data), true, nil
}

// cut gives the octets from offset on, at most count, if the client asked for a part.
func (item *sectionItem) cut(data []byte) []byte {
	if !item.partial {
		return data
	}
	data = data[min(item.offset, uint64(len(data))):]
	return data[:min(item.count, uint64(len(data)))]
}

// encodingOf gives the transfer encoding of a part; only one without parts of its own has one.
func encodingOf(parts *message.Structure, path []int) string {
	if i, ok := parts.FindPart(path); ok && parts.Parts[i].Kind == message.Leaf {
		return parts.Parts[i].Encoding
	}
	return "binary"
}

// decode undoes the transfer encoding, as far as the octets that were asked for.
func (item *sectionItem) decode(encoding string, data []byte) ([]byte, error) {
	r, err := message.NewDecoder(encoding, data)
	if err != nil {
		return nil, err
	}
	size := uint64(len(data)) // decoding never lengthens
	if item.partial {
		if item.offset >= size {
			return nil, nil
		}
		if _, err := io.CopyN(io.Discard, r, int64(item.offset)); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			return nil, fmt.Errorf("decode part: %w", err)
		}
		size = min(size-item.offset, item.count)
		r = io.LimitReader(r, int64(size))
	}
	out := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead)) // ReadFrom wants that much room at the end
	if _, err := out.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("decode part: %w", err)
	}
	return out.Bytes(), nil
}

// binarySize writes BINARY.SIZE[…]: 0 for a part that the message does not have.
func (w *fetchWriter) binarySize(c *content, item *sectionItem) {
	size, err := item.decodedSize(c)
	switch {
	case errors.Is(err, message.ErrUnknownEncoding):
		w.unknownEncoding = true
	case err != nil:
		w.fail(err)
	default:
		w.label(item, "BINARY.SIZE[")
		w.s.enc.Number(uint64(size))
	}
}

func (item *sectionItem) decodedSize(c *content) (int64, error) {
	if len(item.path) == 0 {
		return int64(c.row.msg.Size), nil
	}
	raw, err := c.body()
	if err != nil {
		return 0, err
	}
	parts, err := c.parts()
	if err != nil {
		return 0, err
	}
	data, ok := parts.SectionBytes(raw, item.path, message.SectionWhole)
	if !ok {
		return 0, nil
	}
	return message.DecodedSize(encodingOf(parts, item.path), data)
}
