package imapd

import (
	"strconv"
	"strings"

	"angarium/message"
)

// Bounds of one FETCH.
const (
	maxFetchSections = 100
	maxHeaderNames   = 500
	maxSectionDepth  = message.MaxDepth
)

// sectionItem is a part of a message that FETCH asks for: BODY[…], BINARY[…], BINARY.SIZE[…] or one of the RFC822 items.
type sectionItem struct {
	label  string // what stands before the section's data if it is fixed: RFC822, RFC822.HEADER or RFC822.TEXT
	binary bool   // BINARY or BINARY.SIZE
	size   bool   // BINARY.SIZE
	path   []int
	kind   message.SectionKind
	text   string   // the section without field names, as in "1.2.HEADER.FIELDS"
	fields []string // of HEADER.FIELDS and HEADER.FIELDS.NOT
	not    bool     // HEADER.FIELDS.NOT

	partial       bool
	offset, count uint64
}

// fetchRequest is what FETCH asks for.
type fetchRequest struct {
	uid, flags, modseq                        bool // answered from the view
	internalDate, saveDate, size, email       bool // from the record
	thread, envelope, body, bodyStructure     bool // from the structure
	sections                                  []sectionItem
	seen                                      bool // sets \Seen
	changedSince                              uint64
	hasChangedSince, vanished, condstoreAware bool
}

// needsRecord says whether something beside UID, FLAGS and MODSEQ is asked for.
func (f *fetchRequest) needsRecord() bool {
	return f.internalDate || f.saveDate || f.size || f.email || f.thread || f.needsStructure()
}

func (f *fetchRequest) needsStructure() bool {
	return f.envelope || f.body || f.bodyStructure || len(f.sections) > 0
}

// parseFetch parses what follows the message set of FETCH, up to the end of the command.
func (s *session) parseFetch(byUID bool) (*fetchRequest, error) {
	f := &fetchRequest{uid: byUID}
	c, err := s.r.Peek()
	if err != nil {
		return nil, err
	}
	if c == '(' {
		err = s.r.List(func() error { return s.parseFetchItem(f, false) })
	} else {
		err = s.parseFetchItem(f, true)
	}
	if err != nil {
		return nil, err
	}
	end, err := s.r.AtCRLF()
	if err != nil {
		return nil, err
	}
	if !end {
		if err := s.parseFetchModifiers(f, byUID); err != nil {
			return nil, err
		}
	}
	return f, s.r.CRLF()
}

// parseFetchModifiers parses SP "(" [CHANGEDSINCE modseq] [VANISHED] ")" (RFC 7162, sections 3.1.4.1 and 3.2.6).
func (s *session) parseFetchModifiers(f *fetchRequest, byUID bool) error {
	if err := s.r.SP(); err != nil {
		return err
	}
	err := s.r.List(func() error {
		name, err := s.r.Keyword()
		if err != nil {
			return err
		}
		switch name {
		case "CHANGEDSINCE":
			if err = s.r.SP(); err != nil {
				return err
			}
			f.changedSince, err = s.r.Number64()
			f.hasChangedSince, f.modseq, f.condstoreAware = true, true, true
			return err
		case "VANISHED":
			f.vanished = true
			return nil
		}
		return s.bad("Unknown modifier of FETCH")
	})
	if err == nil && f.vanished && !(byUID && s.qresync && f.hasChangedSince) {
		err = s.bad("VANISHED needs UID FETCH, CHANGEDSINCE and QRESYNC enabled")
	}
	return err
}

// parseFetchItem parses a data item or, where allowed, a macro.
func (s *session) parseFetchItem(f *fetchRequest, macro bool) error {
	name, err := s.r.Keyword()
	if err != nil {
		return err
	}
	if name, section, ok := strings.Cut(name, "["); ok {
		return s.parseSectionItem(f, name, section)
	}
	switch name {
	case "UID":
		f.uid = true
	case "FLAGS":
		f.flags = true
	case "MODSEQ":
		f.modseq, f.condstoreAware = true, true
	case "INTERNALDATE":
		f.internalDate = true
	case "SAVEDATE":
		f.saveDate = true
	case "RFC822.SIZE":
		f.size = true
	case "EMAILID":
		f.email = true
	case "THREADID":
		f.thread = true
	case "ENVELOPE":
		f.envelope = true
	case "BODY":
		f.body = true
	case "BODYSTRUCTURE":
		f.bodyStructure = true
	case "RFC822":
		return s.addSection(f, sectionItem{label: name}, true)
	case "RFC822.TEXT":
		return s.addSection(f, sectionItem{label: name, kind: message.SectionText}, true)
	case "RFC822.HEADER":
		return s.addSection(f, sectionItem{label: name, kind: message.SectionHeader}, false)
	case "ALL", "FAST", "FULL":
		if !macro {
			return s.bad("A macro stands alone")
		}
		f.flags, f.internalDate, f.size = true, true, true
		f.envelope, f.body = name != "FAST", name == "FULL"
	default:
		return s.bad("Unknown data item of FETCH")
	}
	return nil
}

func (s *session) addSection(f *fetchRequest, item sectionItem, seen bool) error {
	if len(f.sections) == maxFetchSections {
		return s.bad("Too many sections")
	}
	f.sections = append(f.sections, item)
	f.seen = f.seen || seen
	return nil
}

// parseSectionItem parses the rest of an item with a section: what follows name and "[", of which the reader has taken spec.
func (s *session) parseSectionItem(f *fetchRequest, name, spec string) error {
	item := sectionItem{text: spec}
	base, peek := strings.CutSuffix(name, ".PEEK")
	switch {
	case base == "BODY":
	case base == "BINARY":
		item.binary = true
	case name == "BINARY.SIZE":
		item.binary, item.size, peek = true, true, true
	default:
		return s.bad("Unknown data item of FETCH")
	}
	if !item.parseSpec() {
		return s.bad("Invalid section")
	}
	if strings.HasSuffix(spec, "HEADER.FIELDS") || strings.HasSuffix(spec, "HEADER.FIELDS.NOT") {
		if err := s.parseFieldNames(&item); err != nil {
			return err
		}
	}
	if err := s.r.Expect(']'); err != nil {
		return err
	}
	if !item.size {
		if err := s.parsePartial(&item); err != nil {
			return err
		}
	}
	return s.addSection(f, item, !peek)
}

// parseSpec takes a section apart: part numbers, then for BODY what of the part (RFC 9051, section 9, section-spec).
func (item *sectionItem) parseSpec() bool {
	rest := item.text
	for rest != "" && rest[0] >= '0' && rest[0] <= '9' {
		number, after, more := strings.Cut(rest, ".")
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || n == 0 || len(item.path) == maxSectionDepth || more && after == "" {
			return false
		}
		item.path = append(item.path, int(n))
		rest = after
	}
	switch rest {
	case "":
		item.kind = message.SectionWhole
		return true
	case "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		item.kind, item.not = message.SectionHeader, rest == "HEADER.FIELDS.NOT"
	case "TEXT":
		item.kind = message.SectionText
	case "MIME":
		item.kind = message.SectionMIME
		return !item.binary && len(item.path) > 0
	default:
		return false
	}
	return !item.binary
}

func (s *session) parseFieldNames(item *sectionItem) error {
	if err := s.r.SP(); err != nil {
		return err
	}
	err := s.r.List(func() error {
		name, err := s.r.AString()
		if err == nil && len(item.fields) == maxHeaderNames {
			err = s.bad("Too many field names")
		}
		item.fields = append(item.fields, name)
		return err
	})
	if err == nil && len(item.fields) == 0 {
		err = s.bad("Expected field names")
	}
	return err
}

// parsePartial parses "<" offset "." count ">", if it is there.
func (s *session) parsePartial(item *sectionItem) (err error) {
	if item.partial, err = s.r.Accept('<'); err != nil || !item.partial {
		return err
	}
	if item.offset, err = s.r.Number64(); err != nil {
		return err
	}
	if err = s.r.Expect('.'); err != nil {
		return err
	}
	if item.count, err = s.r.NzNumber64(); err != nil {
		return err
	}
	return s.r.Expect('>')
}
