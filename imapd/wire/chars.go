package wire

// A charSet is a set of ASCII octets.
type charSet struct{ lo, hi uint64 }

func (s *charSet) has(c byte) bool {
	if c < 64 {
		return s.lo>>c&1 != 0
	}
	return c < 128 && s.hi>>(c-64)&1 != 0
}

// Building blocks of the sets: octets below 64 go into lo, the others into hi.
const (
	digitsLo    uint64 = 0x3ff << '0'
	lettersHi   uint64 = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
	printableLo uint64 = (1<<(64-'!') - 1) << '!'
	printableHi uint64 = 1<<('\x7f'-64) - 1

	// atom-specials of RFC 9051 section 9, without SP and CTL.
	atomSpecialsLo uint64 = 1<<'(' | 1<<')' | 1<<'%' | 1<<'*' | 1<<'"'
	atomSpecialsHi uint64 = 1<<('{'-64) | 1<<('\\'-64) | 1<<(']'-64)
)

// Character sets of RFC 9051 section 9; never written to.
var (
	atomChars    = charSet{printableLo &^ atomSpecialsLo, printableHi &^ atomSpecialsHi}
	astringChars = charSet{atomChars.lo, atomChars.hi | 1<<(']'-64)}
	listChars    = charSet{astringChars.lo | 1<<'%' | 1<<'*', astringChars.hi}
	tagChars     = charSet{astringChars.lo &^ (1 << '+'), astringChars.hi}
	quotedChars  = charSet{(printableLo | 1<<' ') &^ (1 << '"'), printableHi &^ (1 << ('\\' - 64))}
	digitChars   = charSet{digitsLo, 0}
	numSetChars  = charSet{digitsLo | 1<<':' | 1<<',' | 1<<'*' | 1<<'$', 0}
	base64Chars  = charSet{digitsLo | 1<<'+' | 1<<'/' | 1<<'=', lettersHi}
	dateChars    = charSet{digitsLo | 1<<'-', lettersHi}
)
