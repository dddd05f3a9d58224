package message

// SectionKind is what of a part is asked for (RFC 9051, section 6.4.5.1).
type SectionKind uint8

const (
	// SectionWhole is the part itself, BODY[1]: the body without the MIME header, and
	// with an empty path the whole message.
	SectionWhole SectionKind = iota
	// SectionHeader is BODY[HEADER] or BODY[1.HEADER]: the header of a message.
	SectionHeader
	// SectionText is BODY[TEXT] or BODY[1.TEXT]: the body of a message.
	SectionText
	// SectionMIME is BODY[1.MIME]: the MIME header of a part. The only part of
	// a message that is no multipart has the message's header.
	SectionMIME
)

// Section returns where the section path of the message is; ok is false if there is
// none. The header of HEADER.FIELDS is that of SectionHeader.
func (s *Structure) Section(path []int, kind SectionKind) (e Extent, ok bool) {
	if len(path) == 0 && kind == SectionWhole {
		return Extent{0, s.Size}, true
	}
	i, asMessage, ok := s.find(path)
	if !ok {
		return Extent{}, false
	}
	switch {
	case kind == SectionWhole:
		return s.Parts[i].Body(), true
	case kind == SectionMIME:
		return s.Parts[i].Header(), len(path) > 0
	case !asMessage:
		if s.Parts[i].Kind != Embedded {
			return Extent{}, false
		}
		i++ // the embedded message follows the part that carries it
	}
	if kind == SectionHeader {
		return s.Parts[i].Header(), true
	}
	return s.Parts[i].Body(), true
}

// FindPart returns the index in Parts of what BODY[path] returns, for BINARY and its
// transfer encoding. The path mustn't be empty. ok is false if there is no such part.
func (s *Structure) FindPart(path []int) (i int, ok bool) {
	i, _, ok = s.find(path)
	return i, ok && len(path) > 0
}

// find returns the index of the part with a path. asMessage tells that the path is empty:
// that the message is meant, not what its part 1 is.
func (s *Structure) find(path []int) (i int, asMessage, ok bool) {
	asMessage = true
	for _, n := range path {
		if !asMessage && s.Parts[i].Kind == Embedded {
			i, asMessage = i+1, true
		}
		switch {
		case s.Parts[i].Kind == Multipart:
			if i, ok = s.child(i, n); !ok {
				return 0, false, false
			}
			asMessage = false
		case asMessage && n == 1:
			asMessage = false
		default:
			return 0, false, false
		}
	}
	return i, asMessage, true
}

// child returns the index of the n-th child of the multipart at i.
func (s *Structure) child(i, n int) (int, bool) {
	if n < 1 || n > s.Parts[i].Children {
		return 0, false
	}
	for c := i + 1; c < len(s.Parts); c++ {
		if s.Parts[c].Parent == i && s.Parts[c].Number == n {
			return c, true
		}
	}
	return 0, false
}

// SectionBytes returns the bytes of a section of raw, the message that s describes.
func (s *Structure) SectionBytes(raw []byte, path []int, kind SectionKind) (section []byte, ok bool) {
	e, ok := s.Section(path, kind)
	if !ok || len(raw) != s.Size {
		return nil, false
	}
	return e.Of(raw), true
}
