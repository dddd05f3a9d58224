package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"angarium/internal/control"
)

// Bounds of a batch.
const (
	batchSize     = 256     // accounts sent at once
	maxBatchLine  = 4 << 10 // bytes
	maxBatchFails = 10_000  // failures that --json lists; all are counted
)

// batchOutput is what --json prints of a batch.
type batchOutput struct {
	Added   int         `json:"added"`
	Skipped int         `json:"skipped"` // were there already, with --skip-existing
	Failed  int         `json:"failed"`
	Errors  []batchFail `json:"errors"` // of the lines that failed
}

// batchFail is a line that failed.
type batchFail struct {
	Line  int            `json:"line"` // counted from 1
	Name  string         `json:"name"` // empty if it could not be read
	Error *control.Error `json:"error"`
}

func runAccountBatch(ctx context.Context, g *globals, opts accountAddOptions) error {
	in := g.stdin
	if opts.batch != "-" {
		f, err := os.Open(opts.batch)
		if err != nil {
			return usageError{err}
		}
		defer f.Close() // read only
		in = f
	}
	b := &batch{g: g, opts: opts, names: map[string]bool{}, out: batchOutput{Errors: []batchFail{}}}
	err := g.connect(ctx, true, func(c *control.Client, m *meter) error {
		b.client, b.meter = c, m
		b.meter.show(b.progress())
		return b.run(ctx, in)
	})
	return errors.Join(err, b.end(err == nil))
}

// batch is the work on one batch file.
type batch struct {
	g      *globals
	opts   accountAddOptions
	client *control.Client
	meter  *meter

	pending []batchLine     // at most batchSize
	names   map[string]bool // of the accounts in pending
	out     batchOutput
}

// batchLine is a line that names an account to add, or why it does not.
type batchLine struct {
	number  int
	account control.NewAccount
	why     *control.Error
}

func (b *batch) run(ctx context.Context, in io.Reader) error {
	r := bufio.NewReaderSize(in, maxBatchLine)
	for number := 1; ; number++ {
		text, tooLong, err := readLine(r)
		if errors.Is(err, io.EOF) {
			return b.send(ctx)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read the batch: %w", err), b.send(ctx))
		}
		if number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		line := batchLine{number: number}
		if tooLong {
			line.why = usageFailure(fmt.Sprintf("the line is longer than %d bytes", maxBatchLine))
		} else if !line.parse(string(text)) {
			continue
		}
		// Accounts sent together are added in any order. Of two lines with one name the first shall win.
		key := strings.ToLower(line.account.Name)
		if len(b.pending) == batchSize || b.names[key] {
			if err := b.send(ctx); err != nil {
				return err
			}
		}
		b.pending, b.names[key] = append(b.pending, line), true
	}
}

// readLine reads a line without its end. The rest of a line that is too long is passed over.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	line, more, err := r.ReadLine()
	for more && err == nil {
		tooLong = true
		_, more, err = r.ReadLine()
	}
	return line, tooLong, err
}

// parse reads a line: false if it is one to pass over.
func (l *batchLine) parse(text string) bool {
	text = strings.TrimLeft(text, " \t")
	if text == "" || strings.HasPrefix(text, "#") {
		return false
	}
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		end = len(text)
	}
	l.account = control.NewAccount{Name: text[:end], Password: strings.TrimLeft(text[end:], " \t")}
	if !utf8.ValidString(l.account.Name) {
		l.account.Name = strings.ToValidUTF8(l.account.Name, "\ufffd")
		l.why = usageFailure("the name is not UTF-8")
	} else if l.account.Password == "" {
		l.why = usageFailure(`no password: want "NAME PASSWORD"`)
	} else if err := checkPassword(l.account.Password); err != nil {
		l.why = usageFailure(err.Error())
	}
	return true
}

func usageFailure(message string) *control.Error {
	return &control.Error{Code: control.CodeUsage, Message: message}
}

// send adds the accounts that are pending, and tells of the lines that fail in their order.
func (b *batch) send(ctx context.Context) error {
	var req control.AddAccounts
	for _, l := range b.pending {
		if l.why == nil {
			req.Accounts = append(req.Accounts, l.account)
		}
	}
	rest := b.pending
	skip := func() { // past lines that were not sent
		for ; len(rest) > 0 && rest[0].why != nil; rest = rest[1:] {
			b.fail(rest[0])
		}
	}
	skip()
	var err error
	if len(req.Accounts) > 0 {
		err = b.client.AddAccounts(ctx, req, func(r control.AccountResult) error {
			if len(rest) == 0 {
				return fmt.Errorf("%w: more results than accounts", control.ErrBroken)
			}
			switch {
			case r.Error == nil:
				b.out.Added++
			case b.opts.skipExisting && r.Error.Code == control.CodeExists:
				b.out.Skipped++
			default:
				rest[0].why = r.Error
				b.fail(rest[0])
			}
			rest = rest[1:]
			skip()
			b.meter.show(b.progress())
			return nil
		})
	}
	b.pending = b.pending[:0]
	clear(b.names)
	return err
}

func (b *batch) progress() control.Progress {
	return control.Progress{What: "add accounts", Done: uint64(b.out.Added + b.out.Skipped + b.out.Failed), Unit: "accounts"}
}

// fail tells of a line that failed.
func (b *batch) fail(l batchLine) {
	b.out.Failed++
	if b.g.json {
		if len(b.out.Errors) < maxBatchFails {
			b.out.Errors = append(b.out.Errors, batchFail{l.number, l.account.Name, l.why})
		}
		return
	}
	name := ""
	if l.account.Name != "" {
		name = plain(l.account.Name) + ": "
	}
	_ = b.meter.aside(func() error { // the exit code tells as well
		_, err := fmt.Fprintf(b.g.stderr, "line %d: %s%s\n", l.number, name, plain(l.why.Message))
		return err
	})
}

// end sums up, also after an interruption: what was added is added. whole says that the file was read to its end.
func (b *batch) end(whole bool) error {
	if b.client == nil { // nothing was begun
		return nil
	}
	var err error
	if b.g.json {
		err = b.g.printJSON(b.out)
	} else {
		text := count(uint64(b.out.Added), "account") + " added"
		if b.opts.skipExisting {
			text += fmt.Sprintf(", %d existed", b.out.Skipped)
		}
		err = b.g.printf("%s, %d failed\n", text, b.out.Failed)
	}
	if err == nil && whole && b.out.Failed > 0 {
		err = &control.Error{Code: codeFailed, Message: count(uint64(b.out.Failed), "line") + " failed"}
	}
	return err
}
