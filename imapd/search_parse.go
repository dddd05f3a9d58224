package imapd

import (
	"strings"
	"time"

	"angarium/imapd/wire"
)

// Bounds of one SEARCH.
const (
	maxSearchKeys  = 2000
	maxSearchDepth = 50 // of NOT, OR and parentheses
)

// searchRequest is the arguments of SEARCH.
type searchRequest struct {
	extended                   bool // RETURN was given
	min, max, all, count, save bool
	modseq                     bool // MODSEQ was among the keys
	key                        *searchKey
}

// searchParser parses search keys, recursing no deeper than maxSearchDepth.
type searchParser struct {
	s    *session
	req  *searchRequest
	keys int
}

// parseSearch parses the arguments of SEARCH: [RETURN (options)] [CHARSET name] keys.
func (s *session) parseSearch() (*searchRequest, error) {
	req := &searchRequest{}
	p := &searchParser{s: s, req: req}
	if err := s.r.SP(); err != nil {
		return nil, err
	}
	word, err := p.word()
	if err == nil && word == "RETURN" {
		word, err = p.returnOptions()
	}
	if err == nil && word == "CHARSET" {
		word, err = p.charset()
	}
	if err != nil {
		return nil, err
	}
	if !req.extended {
		req.all = true
	}
	if req.key, err = p.list(word, 0, false); err != nil {
		return nil, err
	}
	return req, s.r.CRLF()
}

// word parses the word that begins a key; it is "" before a set or a parenthesis.
func (p *searchParser) word() (string, error) {
	c, err := p.s.r.Peek()
	if err != nil {
		return "", err
	}
	if c == '(' || c == '*' || c == '$' || c >= '0' && c <= '9' {
		return "", nil
	}
	return p.s.r.Keyword()
}

// returnOptions parses what follows RETURN, and the word behind it.
func (p *searchParser) returnOptions() (string, error) {
	r, req := p.s.r, p.req
	req.extended = true
	if err := r.SP(); err != nil {
		return "", err
	}
	err := r.List(func() error {
		name, err := r.Keyword()
		if err != nil {
			return err
		}
		switch name {
		case "MIN":
			req.min = true
		case "MAX":
			req.max = true
		case "ALL":
			req.all = true
		case "COUNT":
			req.count = true
		case "SAVE":
			req.save = true
		default:
			return p.s.bad("Unknown option of RETURN")
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if !req.min && !req.max && !req.count && !req.save {
		req.all = true // RETURN () is RETURN (ALL)
	}
	if err := r.SP(); err != nil {
		return "", err
	}
	return p.word()
}

// charset parses what follows CHARSET, and the word behind it. US-ASCII is part of UTF-8, and nothing else is understood.
func (p *searchParser) charset() (string, error) {
	if err := p.s.r.SP(); err != nil {
		return "", err
	}
	name, err := p.s.r.AString()
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(name, "UTF-8") && !strings.EqualFold(name, "US-ASCII") {
		if p.req.save { // as after any SEARCH that is answered with NO (RFC 5182, section 2.1)
			p.s.saved = wire.NumSet{}
		}
		return "", p.s.no("BADCHARSET (US-ASCII UTF-8)", "Unknown charset")
	}
	if err := p.s.r.SP(); err != nil {
		return "", err
	}
	return p.word()
}

// list parses keys up to the end of the command or, if nested, to a closing parenthesis. The word of the first was parsed.
func (p *searchParser) list(word string, depth int, nested bool) (*searchKey, error) {
	var keys []*searchKey
	for {
		key, err := p.key(word, depth)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		c, err := p.s.r.Peek()
		if err != nil {
			return nil, err
		}
		if nested && c == ')' || !nested && (c == '\r' || c == '\n') {
			return innerKey(opAnd, keys...), nil
		}
		if err := p.s.r.SP(); err != nil {
			return nil, err
		}
		if word, err = p.word(); err != nil {
			return nil, err
		}
	}
}

// next parses SP and a key.
func (p *searchParser) next(depth int) (*searchKey, error) {
	if err := p.s.r.SP(); err != nil {
		return nil, err
	}
	word, err := p.word()
	if err != nil {
		return nil, err
	}
	return p.key(word, depth)
}

// key parses a key whose word was parsed.
func (p *searchParser) key(word string, depth int) (*searchKey, error) {
	if p.keys++; p.keys > maxSearchKeys {
		return nil, p.s.bad("Too many search keys")
	}
	if depth > maxSearchDepth {
		return nil, p.s.bad("Search keys are nested too deeply")
	}
	switch word {
	case "":
		return p.setOrList(depth)
	case "NOT":
		key, err := p.next(depth + 1)
		if err != nil {
			return nil, err
		}
		return innerKey(opNot, key), nil
	case "OR":
		a, err := p.next(depth + 1)
		if err != nil {
			return nil, err
		}
		b, err := p.next(depth + 1)
		if err != nil {
			return nil, err
		}
		return innerKey(opOr, a, b), nil
	}
	if key := flagSearchKey(word); key != nil {
		return key, nil
	}
	return p.withArgument(word)
}

func (p *searchParser) setOrList(depth int) (*searchKey, error) {
	c, err := p.s.r.Peek()
	if err != nil {
		return nil, err
	}
	if c != '(' {
		set, err := p.s.r.NumSet()
		return numberKey(set, false), err
	}
	if err := p.s.r.OpenParen(); err != nil {
		return nil, err
	}
	word, err := p.word()
	if err != nil {
		return nil, err
	}
	key, err := p.list(word, depth+1, true)
	if err != nil {
		return nil, err
	}
	return key, p.s.r.CloseParen()
}

// withArgument parses a key that has arguments.
func (p *searchParser) withArgument(word string) (*searchKey, error) {
	parse := p.argumentOf(word)
	if parse == nil {
		return nil, p.s.bad("Unknown search key")
	}
	if err := p.s.r.SP(); err != nil {
		return nil, err
	}
	return parse(word)
}

// argumentOf gives the function that parses the arguments of a key, nil if there is no such key.
func (p *searchParser) argumentOf(word string) func(string) (*searchKey, error) {
	switch word {
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		return p.headerKey
	case "HEADER":
		return p.anyHeaderKey
	case "BODY", "TEXT":
		return p.textKey
	case "BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE", "SAVEDBEFORE", "SAVEDON", "SAVEDSINCE":
		return p.dateKey
	case "OLDER", "YOUNGER":
		return p.ageKey
	case "LARGER", "SMALLER":
		return p.sizeKey
	case "KEYWORD", "UNKEYWORD":
		return p.keywordKey
	case "UID":
		return p.uidKey
	case "MODSEQ":
		return p.modseqKey
	case "EMAILID", "THREADID":
		return p.objectIDKey
	}
	return nil
}

func (p *searchParser) headerKey(word string) (*searchKey, error) {
	value, err := p.s.r.AString()
	return headerKey(word, value), err
}

func (p *searchParser) anyHeaderKey(string) (*searchKey, error) {
	name, err := p.s.r.AString()
	if err != nil {
		return nil, err
	}
	if err := p.s.r.SP(); err != nil {
		return nil, err
	}
	return p.headerKey(name)
}

func (p *searchParser) textKey(word string) (*searchKey, error) {
	value, err := p.s.r.AString()
	return textKey(value, word == "TEXT"), err
}

func (p *searchParser) dateKey(word string) (*searchKey, error) {
	date, err := p.s.r.Date()
	if err != nil {
		return nil, err
	}
	return dateKey(word, date.Unix()), nil
}

func (p *searchParser) ageKey(word string) (*searchKey, error) {
	seconds, err := p.s.r.NzNumber()
	return ageKey(time.Duration(seconds)*time.Second, word == "OLDER"), err
}

func (p *searchParser) sizeKey(word string) (*searchKey, error) {
	size, err := p.s.r.Number64()
	if word == "LARGER" {
		return simpleKey(costRecord, func(m *candidate) bool { return m.row.msg.Size > size }), err
	}
	return simpleKey(costRecord, func(m *candidate) bool { return m.row.msg.Size < size }), err
}

func (p *searchParser) keywordKey(word string) (*searchKey, error) {
	flag, err := p.s.r.Atom()
	return flagKeyOf(flag, word == "KEYWORD"), err
}

func (p *searchParser) uidKey(string) (*searchKey, error) {
	set, err := p.s.r.NumSet()
	return numberKey(set, true), err
}

// modseqKey parses [entry-name SP entry-type SP] modseq (RFC 7162, section 3.1.5). All flags of a message share its modseq, so that
// the entry does not matter.
func (p *searchParser) modseqKey(string) (*searchKey, error) {
	r := p.s.r
	c, err := r.Peek()
	if err != nil {
		return nil, err
	}
	if c == '"' {
		if _, err := r.Quoted(); err != nil {
			return nil, err
		}
		if err := r.SP(); err != nil {
			return nil, err
		}
		if kind, err := r.Keyword(); err != nil {
			return nil, err
		} else if kind != "ALL" && kind != "PRIV" && kind != "SHARED" {
			return nil, p.s.bad("Unknown entry type of MODSEQ")
		}
		if err := r.SP(); err != nil {
			return nil, err
		}
	}
	modseq, err := r.Number64()
	p.req.modseq = true
	return simpleKey(costView, func(m *candidate) bool { return m.live.Modseq >= modseq }), err
}

func (p *searchParser) objectIDKey(word string) (*searchKey, error) {
	id, err := p.s.r.AString()
	if word == "THREADID" { // messages have none
		return simpleKey(costView, func(*candidate) bool { return false }), err
	}
	return simpleKey(costRecord, func(m *candidate) bool { return emailID(m.row.msg.GUID) == id }), err
}
