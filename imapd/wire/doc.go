// Package wire is the wire layer of the IMAP server (IMAP4rev1 of RFC 3501,
// IMAP4rev2 of RFC 9051): it cuts what a client sends into tokens, and writes
// responses. It knows neither commands nor mailboxes, and imports nothing but
// the standard library and golang.org/x/text.
//
// A Reader takes the commands of one connection apart as they arrive, an
// Encoder writes the responses, and both borrow their buffers from a
// BufferPool. The goroutine of a connection runs, in this order:
//
//	for {
//		err := r.WaitInput(autologout)   // parked; flushes the Encoder first
//		err = r.BeginCommand()
//		tag, err := r.Tag()              // then SP, Keyword, SP, arguments
//		err = r.CRLF()                   // then the command is carried out
//		err = r.DiscardCommand()         // always; moves behind the command
//	}
//
// If parsing fails with an error for which Recoverable is true and
// DiscardCommand succeeds, the answer is a tagged BAD (or NO) and the
// connection lives on. After any other error it must be closed.
//
// # What the package guarantees
//
// An idle connection costs the Reader and the Encoder, less than 1 KiB, and no
// buffer. Between commands the goroutine waits in a read of a single octet
// into the Reader itself. (TestWaitInputParksWithoutBuffer,
// TestEncoderHoldsNoBufferAfterFlush, TestIdleConnectionIsSmall)
//
// A literal is consumed exactly, or the connection is closed. No octet of a
// non-synchronising literal, and none of a synchronising one that was asked
// for, is ever taken for a command, whatever is wrong with the command around
// it. After a broken command the next one is parsed as a command of its own,
// or the connection is closed. A broken line whose end may or may not announce
// a non-synchronising literal is the latter case: see ErrAmbiguous.
// (TestNoDesync, FuzzNoDesync, TestDiscardCommand)
//
// A synchronising literal that is refused ends its command: the client, not
// asked to go on, sends the next command. (TestRefusedSyncLiteralEndsCommand)
//
// It does not matter how the input is cut into reads, nor whether commands are
// pipelined. (TestEverySplitGivesTheSameCommands, FuzzCommand)
//
// Lists are parsed without recursion, and the depth of parentheses that the
// caller may follow is limited. (TestNestingIsLimited)
//
// Everything that a client can make the server hold is limited per command, by
// Limits: the line, each buffered literal, their sum and number, the members
// of lists and sets. An announcement alone allocates nothing. Octets that are
// read only to be thrown away are limited too. (TestLiteralBudget,
// TestLineLimit, TestAnnouncementAloneAllocatesNoBuffer,
// TestUnskippableLiteralClosesTheConnection)
//
// Everything that blocks on the client first flushes the Encoder, so responses
// to pipelined commands leave in few writes and yet are never held back.
// (TestPipelinedCommandsAreAnsweredInOneWrite)
//
// Interrupt wakes WaitInput from another goroutine and loses no octet, on
// plain and on TLS connections. (TestInterruptLosesNoInput)
//
// Text from elsewhere cannot begin a response of its own: strings that do not
// fit between quotes become literals, and Text has no line ends.
// (TestEncoderCannotBeInjected)
//
// # Where it is lenient
//
// Lines may end in a bare LF as well as in CRLF, as Dovecot accepts. A CR
// elsewhere in a line, and a NUL anywhere but in a literal8 or a streamed
// literal, is a syntax error.
//
// # The caller's part
//
// No method of Encoder, nor one of Reader that may block, is called under a
// lock of a store. Bytes buffered at STARTTLS or COMPRESS are an attack:
// check Reader.Buffered before Reader.Reset.
package wire
