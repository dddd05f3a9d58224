package wire

// Limits bounds what one command may make the server hold or read. A zero
// field means its default.
type Limits struct {
	// MaxLine is the number of octets of a command, literals not counted but
	// their announcements and all line ends included. Default 64 KiB.
	MaxLine int
	// MaxLiteral is the size in octets of one buffered literal. Default
	// 100 KiB. Streamed literals have a limit of their own, see
	// Reader.Literal.
	MaxLiteral int64
	// MaxLiteralSum is the size in octets of all buffered literals of a
	// command. Default 1 MiB.
	MaxLiteralSum int64
	// MaxLiterals is the number of literals of a command, streamed ones
	// included. Default 1000.
	MaxLiterals int
	// MaxDiscard is the number of octets of refused non-synchronising
	// literals that are read and thrown away per command so that the
	// connection survives. Default 64 MiB.
	MaxDiscard int64
	// MaxDepth is the number of parentheses that may be open at a time.
	// Default 50.
	MaxDepth int
	// MaxListItems is the number of members of a list (flags, names) and of
	// ranges in a number set. Default 20,000.
	MaxListItems int
}

// Defaults of Limits.
const (
	DefaultMaxLine       = 64 << 10
	DefaultMaxLiteral    = 100 << 10
	DefaultMaxLiteralSum = 1 << 20
	DefaultMaxLiterals   = 1000
	DefaultMaxDiscard    = 64 << 20
	DefaultMaxDepth      = 50
	DefaultMaxListItems  = 20_000
)

// MaxTag is the longest tag accepted, in octets.
const MaxTag = 256

// literalMinusMax is the largest non-synchronising literal under LITERAL-
// (RFC 7888 section 5).
const literalMinusMax = 4096

// PreAuthLimits returns limits for a client that has not logged in: enough
// for AUTHENTICATE and LOGIN, and little to make the server hold or skip.
func PreAuthLimits() Limits {
	return Limits{
		MaxLine:       DefaultMaxLine,
		MaxLiteral:    8 << 10,
		MaxLiteralSum: 32 << 10,
		MaxLiterals:   20,
		MaxDiscard:    64 << 10,
		MaxDepth:      10,
		MaxListItems:  200,
	}
}

func (l Limits) withDefaults() Limits {
	if l.MaxLine <= 0 {
		l.MaxLine = DefaultMaxLine
	}
	if l.MaxLiteral <= 0 {
		l.MaxLiteral = DefaultMaxLiteral
	}
	if l.MaxLiteralSum <= 0 {
		l.MaxLiteralSum = DefaultMaxLiteralSum
	}
	if l.MaxLiterals <= 0 {
		l.MaxLiterals = DefaultMaxLiterals
	}
	if l.MaxDiscard <= 0 {
		l.MaxDiscard = DefaultMaxDiscard
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	if l.MaxListItems <= 0 {
		l.MaxListItems = DefaultMaxListItems
	}
	return l
}
