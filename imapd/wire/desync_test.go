package wire

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A scriptClient sends commands as a client does: it sends the octets of a
// synchronising literal, and what follows them, only after it got a
// continuation request.
type scriptClient struct {
	commands [][]piece
	out      bytes.Buffer // what the server wrote
	seen     int          // continuation requests already answered
	pending  []byte       // octets to send
	waiting  bool         // for a continuation request
	step     int          // octets per read
}

// A piece is a part of a line, or a literal if size is not negative.
type piece struct {
	text    string // of the line, in front of the literal
	literal bool
	sync    bool
	body    string
}

func (c *scriptClient) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *scriptClient) Read(p []byte) (int, error) {
	for len(c.pending) == 0 {
		if !c.next() {
			return 0, io.EOF
		}
	}
	n := copy(p[:min(len(p), c.step)], c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// next prepares the octets to send after all before were received.
func (c *scriptClient) next() bool {
	if len(c.commands) == 0 {
		return false
	}
	pieces := c.commands[0]
	if c.waiting {
		c.waiting = false
		if bytes.Count(c.out.Bytes(), []byte("+ OK\r\n")) == c.seen {
			c.commands = c.commands[1:] // refused: the command ends there
			return true
		}
		c.seen++
		c.pending = append(c.pending, pieces[0].body...)
		pieces = pieces[1:]
	}
	for ; len(pieces) > 0; pieces = pieces[1:] {
		p := pieces[0]
		c.pending = append(c.pending, p.text...)
		switch {
		case p.literal && p.sync:
			c.pending = fmt.Appendf(c.pending, "{%d}\r\n", len(p.body))
			c.waiting = true
			c.commands[0] = pieces
			return true
		case p.literal:
			c.pending = fmt.Appendf(c.pending, "{%d+}\r\n%s", len(p.body), p.body)
		}
	}
	c.pending = append(c.pending, "\r\n"...)
	c.commands = c.commands[1:]
	return true
}

// announcement is text that the server has to take for the announcement of a
// literal although the script does not mean one.
var announcement = regexp.MustCompile(`\{[0-9]+\+?\}\r?$`)

// checkNoDesync sends the commands, then a good one, and checks that only tags
// of the script are seen, and that the good command is seen unless the
// connection was closed.
func checkNoDesync(t interface{ Fatalf(string, ...any) }, commands [][]piece, step int) {
	commands = append(commands, []piece{{text: "good NOOP"}})
	client := &scriptClient{commands: commands, step: step}
	enc := NewEncoder(client, EncoderOptions{})
	r := NewReader(client, enc, Options{Limits: Limits{MaxLiteral: 30, MaxLiterals: 3, MaxDiscard: 200, MaxDepth: 3}})
	log, err := serve(r, enc)
	for _, line := range log {
		if strings.HasPrefix(line, "evil") {
			t.Fatalf("octets of a literal were taken for a command: %q", log)
		}
	}
	if err == io.ErrUnexpectedEOF && (len(log) == 0 || log[len(log)-1] != "good NOOP") {
		t.Fatalf("the good command was lost: %q", log)
	}
}

const evilBody = "\r\nevil NOOP\r\nevil LOGIN x {4+}\r\nevil NOOP\r\n"

func TestNoDesync(t *testing.T) {
	words := []string{"LOGIN", "SELECT", "APPEND", "DROP", "FETCH", "SEARCH", "META", "NOOP", "x", " ", " ", " ", "(", ")", `"`, `"a"`, `\`, "1:*", "{", "{3+", "{3}", "~", "\x00", "\r", "é"}
	gen := rapid.Custom(func(t *rapid.T) []piece {
		pieces := []piece{{text: "a " + rapid.SampledFrom(words[:8]).Draw(t, "command") + " "}}
		for range rapid.IntRange(0, 5).Draw(t, "pieces") {
			p := piece{text: strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 4).Draw(t, "words"), "")}
			p.literal = rapid.Bool().Draw(t, "literal")
			p.sync = rapid.Bool().Draw(t, "sync")
			p.body = strings.Repeat("x", rapid.IntRange(0, 60).Draw(t, "pad")) + evilBody[:rapid.IntRange(0, len(evilBody)).Draw(t, "evil")]
			pieces = append(pieces, p)
		}
		if last := &pieces[len(pieces)-1]; !last.literal && announcement.MatchString(last.text) {
			last.text += "x"
		}
		return pieces
	})
	rapid.Check(t, func(t *rapid.T) {
		commands := rapid.SliceOfN(gen, 1, 4).Draw(t, "commands")
		checkNoDesync(t, commands, rapid.SampledFrom([]int{1, 2, 7, 1 << 20}).Draw(t, "step"))
	})
}

// FuzzNoDesync makes a script of arbitrary octets: lines are commands, and the
// octets 1 and 2 stand for a non-synchronising and a synchronising literal.
func FuzzNoDesync(f *testing.F) {
	f.Add([]byte("a LOGIN \x01 \x02\nb APPEND x \x02"), byte(1))
	f.Add([]byte("a LOGIN (\x01\nb NOOP \x01)\x02"), byte(9))
	f.Add([]byte("a SEARCH ((((\x01\n\"\x01\nDROP \x02"), byte(200))
	f.Add([]byte("a META ~\x01\n \x01{9+\x01"), byte(3))
	f.Fuzz(func(t *testing.T, script []byte, seed byte) {
		var commands [][]piece
		for line := range strings.SplitSeq(string(script), "\n") {
			var pieces []piece
			for line != "" {
				i := strings.IndexAny(line, "\x01\x02")
				if i < 0 {
					break
				}
				pieces = append(pieces, piece{
					text: line[:i], literal: true, sync: line[i] == 2,
					body: strings.Repeat("x", int(seed)/4+len(pieces)*int(seed%3)) + evilBody,
				})
				line = line[i+1:]
			}
			if announcement.MatchString(line) || strings.HasPrefix(line, "evil") {
				t.Skip("the script itself lies")
			}
			commands = append(commands, append(pieces, piece{text: line}))
		}
		for _, command := range commands {
			if strings.HasPrefix(command[0].text, "evil") {
				t.Skip("the script itself lies")
			}
		}
		checkNoDesync(t, commands, 1+int(seed))
	})
}

// transcript runs the server over chunks of input.
func transcript(opts Options, chunks ...[]byte) string {
	var out bytes.Buffer
	enc := NewEncoder(&out, EncoderOptions{})
	log, err := serve(NewReader(&chunkReader{chunks}, enc, opts), enc)
	return fmt.Sprintf("%q %v", log, err)
}

const pipelined = "a LOGIN \"us\\\"er\" {4+}\r\npass\r\nb SELECT inbox/&APw-\r\nc FETCH 1:5,7:* (FLAGS UID)\r\n" +
	"d garbage {3+}\r\nx\r\n \"\r\ne APPEND x ~{6+}\r\na\x00b\r\nc\r\nf META ~{1+}\r\n\x00\r\ng STORE 1 \\Seen\r\nh ON 1-Jan-2020 \" 1-Jan-2020 00:00:00 +0000\"\r\n" +
	"i APPEND x {1001+}\r\n" + "i APPEND y {3}\r\nabc\r\nj SEARCH (a (b {1+}\r\nx))\nk LIST \"\" %\r\n"

func TestEverySplitGivesTheSameCommands(t *testing.T) {
	in := []byte(pipelined)
	want := transcript(Options{}, in)
	for i := range in {
		if got := transcript(Options{}, in[:i:i], in[i:]); got != want {
			t.Fatalf("split at %d:\n%s\nwant\n%s", i, got, want)
		}
	}
}

// FuzzCommand checks that the parser neither panics nor depends on how its
// input is cut.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(pipelined), uint16(1))
	f.Add([]byte("a AUTH AGEAYg==\r\nb SIZE 1 9223372036854775807\r\nc DROP {3}\r\n"), uint16(5))
	for _, tt := range primitives {
		f.Add([]byte("a META "+tt.in+"\r\n"), uint16(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		opts := Options{Limits: Limits{MaxLine: 300, MaxLiteral: 50, MaxDepth: 5, MaxDiscard: 500}}
		want := transcript(opts, bytes.Clone(in))
		var chunks [][]byte
		for rest := bytes.Clone(in); len(rest) > 0; {
			n := min(len(rest), 1+int(step)%97)
			chunks = append(chunks, rest[:n])
			rest = rest[n:]
		}
		if got := transcript(opts, chunks...); got != want {
			t.Fatalf("cut by %d:\n%s\nwhole:\n%s", 1+step%97, got, want)
		}
	})
}
