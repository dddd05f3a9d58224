package wire

import (
	"errors"
	"fmt"
)

// ErrInterrupted is returned by Reader.WaitInput after Reader.Interrupt.
var ErrInterrupted = errors.New("wire: wait for input interrupted")

// ErrLineTooLong means that a command line (literals not counted) or a
// continuation line exceeded its limit. The connection must be closed.
var ErrLineTooLong = errors.New("wire: line too long")

// ErrUnskippable means that a non-synchronising literal was refused and is
// too long to be read and thrown away. The connection must be closed, because
// its octets would otherwise be taken for commands.
var ErrUnskippable = errors.New("wire: refused literal is too long to skip")

// ErrAmbiguous means that a broken command ends in something that may or may
// not announce a non-synchronising literal. The connection must be closed,
// because either guess might execute octets that are not commands.
var ErrAmbiguous = errors.New("wire: cannot tell where the broken command ends")

// ErrMisuse means that the caller broke the order of calls (for example began
// a command before the last one was finished). It is a defect of the server;
// the connection must be closed.
var ErrMisuse = errors.New("wire: reader used out of order")

// ErrShortLiteral means that the source of a streamed literal held fewer
// octets than were announced. The connection must be closed.
var ErrShortLiteral = errors.New("wire: literal source ended early")

// A SyntaxError is a command that does not follow the grammar. It maps to a
// tagged BAD once Reader.DiscardCommand has succeeded.
type SyntaxError struct {
	// Pos is the number of octets of the command read before the error,
	// octets of literals not counted.
	Pos int
	// Msg says what was expected; it holds no input from the client.
	Msg string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at octet %d", e.Msg, e.Pos)
}

// LimitKind names the limit a LimitError is about.
type LimitKind uint8

// The limits a command may exceed without losing the connection.
const (
	// LimitLiteralSize: one literal is larger than allowed (NO [TOOBIG] for
	// APPEND, else BAD).
	LimitLiteralSize LimitKind = iota + 1
	// LimitLiteralSum: the buffered literals of the command are too large.
	LimitLiteralSum
	// LimitLiteralCount: the command has too many literals.
	LimitLiteralCount
	// LimitNonSync: a non-synchronising literal is larger than LITERAL-
	// allows (RFC 7888 section 5).
	LimitNonSync
	// LimitListItems: a list or a number set has too many members.
	LimitListItems
	// LimitDepth: parentheses are nested too deeply.
	LimitDepth
)

// String returns the name of the limit.
func (k LimitKind) String() string {
	switch k {
	case LimitLiteralSize:
		return "literal size"
	case LimitLiteralSum:
		return "sum of literal sizes"
	case LimitLiteralCount:
		return "number of literals"
	case LimitNonSync:
		return "size of a non-synchronising literal"
	case LimitListItems:
		return "number of list members"
	case LimitDepth:
		return "nesting depth"
	}
	return "limit"
}

// A LimitError is a well-formed command that exceeds a limit. Like a
// SyntaxError it leaves the connection usable once Reader.DiscardCommand has
// succeeded.
type LimitError struct {
	Kind LimitKind
	// Max is the limit that was exceeded.
	Max int64
	// Pos is as in SyntaxError.
	Pos int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s exceeds %d at octet %d", e.Kind, e.Max, e.Pos)
}

// A NameError is an argument that is a well-formed string but no acceptable
// mailbox name. It is recoverable like a SyntaxError, and maps to BAD or to
// NO [CANNOT] (RFC 5530).
type NameError struct {
	Msg string
}

// Error implements error.
func (e *NameError) Error() string { return "mailbox name " + e.Msg }

// Recoverable reports whether err leaves the connection usable: the caller
// then calls Reader.DiscardCommand and, if that succeeds, answers with a
// tagged BAD or NO. After any other error the connection must be closed.
func Recoverable(err error) bool {
	var (
		syntax *SyntaxError
		limit  *LimitError
		name   *NameError
	)
	return errors.As(err, &syntax) || errors.As(err, &limit) || errors.As(err, &name)
}
