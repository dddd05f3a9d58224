package message

import "time"

// Kind says how a part contains others.
type Kind uint8

const (
	// Leaf contains no part.
	Leaf Kind = iota
	// Multipart contains one part or more, numbered from 1.
	Multipart
	// Embedded is a message/rfc822 or message/global part. It contains exactly
	// one part: the message.
	Embedded
)

// Part is a node of the MIME tree. The message itself is the first; the message in
// an Embedded part is a node of its own, beside the part that carries it.
type Part struct {
	Parent   int // index in Structure.Parts; -1 for the message itself
	Number   int // among the children of Parent, from 1; 0 for the message itself
	Children int // how many parts have this one as Parent
	Kind     Kind

	HeaderStart int // offset in the message
	HeaderLen   int // bytes, with the empty line that ends the header
	BodyLen     int // bytes; the body follows the header
	Lines       int // line ends (LF) in the body

	Type     string // lower case, "text"
	Subtype  string // lower case, "plain"
	Charset  string // lower case; "" if not given
	Encoding string // Content-Transfer-Encoding in lower case; "7bit" if not given
}

// BodyStart returns the offset of the body in the message.
func (p *Part) BodyStart() int { return p.HeaderStart + p.HeaderLen }

// Header returns the extent of the part's header.
func (p *Part) Header() Extent { return Extent{p.HeaderStart, p.HeaderLen} }

// Body returns the extent of the part's body, still transfer-encoded.
func (p *Part) Body() Extent { return Extent{p.BodyStart(), p.BodyLen} }

// end returns the offset after the body.
func (p *Part) end() int { return p.BodyStart() + p.BodyLen }

// Extent is a range of bytes of a message.
type Extent struct {
	Start int // offset
	Len   int // bytes
}

// Of returns the bytes of raw that e covers, and nil if raw is too short, as it is when
// it isn't the message that e was computed from.
func (e Extent) Of(raw []byte) []byte {
	if e.Start < 0 || e.Len < 0 || e.Start > len(raw) || e.Len > len(raw)-e.Start {
		return nil
	}
	return raw[e.Start : e.Start+e.Len : e.Start+e.Len]
}

// SentDate is what the Date field says.
type SentDate struct {
	Unix          int64 // seconds since 1970-01-01 UTC
	OffsetMinutes int   // of the sender's zone, east of UTC
	Valid         bool  // false if there is no Date field, or none that can be read
}

// Time returns the date in the sender's zone, and the zero time if d isn't valid.
func (d SentDate) Time() time.Time {
	if !d.Valid {
		return time.Time{}
	}
	return time.Unix(d.Unix, 0).In(time.FixedZone("", d.OffsetMinutes*60))
}

// Structure is all that Parse knows of a message. It is immutable, and safe for
// concurrent use. Byte slices it returns must not be changed.
type Structure struct {
	Size      int      // bytes of the message
	Truncated bool     // a bound of limits.go cut something off
	Sent      SentDate // from the Date field
	Parts     []Part   // in the order of the message; Parts[0] is the message itself

	envelope      []byte
	bodyStructure []byte
	cuts          []byte // see cutExtensions
	fields        []byte // cached header fields, verbatim
	omitted       uint64 // bit i: a field called cachedNames[i] is not in fields
}

// Envelope returns the IMAP ENVELOPE, parentheses included.
func (s *Structure) Envelope() []byte { return s.envelope }

// BodyStructure returns the IMAP BODYSTRUCTURE, parentheses included.
func (s *Structure) BodyStructure() []byte { return s.bodyStructure }

// Body returns the IMAP BODY: BODYSTRUCTURE without extension data.
func (s *Structure) Body() []byte { return cutExtensions(s.bodyStructure, s.cuts) }

// Lines returns how many line ends (LF) the body of the message has.
func (s *Structure) Lines() int { return s.Parts[0].Lines }

// Path returns the section number of Parts[i] as IMAP writes it, [1 2] for
// "1.2". A message, embedded or not, has the path of what carries it; that
// of the message itself is empty.
func (s *Structure) Path(i int) []int {
	var path []int
	for ; i > 0; i = s.Parts[i].Parent {
		p := &s.Parts[i]
		switch parent := &s.Parts[p.Parent]; {
		case parent.Kind == Multipart:
			path = append(path, p.Number)
		case s.isMessage(p.Parent):
			// The embedded message is all there is in the message around it.
			path = append(path, 1)
		}
	}
	for l, r := 0, len(path)-1; l < r; l, r = l+1, r-1 {
		path[l], path[r] = path[r], path[l]
	}
	return path
}

// isMessage reports whether Parts[i] is a message rather than a part of a multipart.
func (s *Structure) isMessage(i int) bool {
	return i == 0 || s.Parts[s.Parts[i].Parent].Kind == Embedded
}
