package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"angarium/internal/control"
)

// maxPassword bounds a password in bytes.
const maxPassword = 1024

// errNo is the answer no to a question.
var errNo = &control.Error{Code: codeInterrupted, Message: "nothing was done"}

// confirm asks a question on the terminal: nil if the answer is yes.
func (g *globals) confirm(ctx context.Context, question string) error {
	f, ok := g.stdin.(*os.File)
	if !ok || !isTerminal(f) {
		return &control.Error{Code: control.CodeUsage, Message: "standard input is no terminal to ask on", Hint: "--yes goes on without being asked"}
	}
	fmt.Fprintf(g.stderr, "%s [y/N] ", plain(question))
	line, err := await(ctx, func() (string, error) { return bufio.NewReader(f).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errNo
	}
	return nil
}

// password reads a password: the first line of standard input, or twice from the terminal.
func (g *globals) password(ctx context.Context, fromStdin bool) (string, error) {
	password, err := g.enteredPassword(ctx, fromStdin)
	if err == nil {
		err = checkPassword(password)
	}
	return password, err
}

// checkPassword refuses what would not reach the node as it is. Whether a password is good enough is for the node to say.
func checkPassword(password string) error {
	switch {
	case password == "":
		return usagef("the password is empty")
	case len(password) > maxPassword:
		return usagef("the password is longer than %d bytes", maxPassword)
	case !utf8.ValidString(password):
		return usagef("the password is not UTF-8")
	}
	return nil
}

func (g *globals) enteredPassword(ctx context.Context, fromStdin bool) (string, error) {
	if fromStdin {
		line, err := await(ctx, func() (string, error) {
			return bufio.NewReader(io.LimitReader(g.stdin, maxPassword+3)).ReadString('\n') // with CR LF, and one too many
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
	}
	f, ok := g.stdin.(*os.File)
	if !ok || !isTerminal(f) {
		return "", &control.Error{Code: control.CodeUsage, Message: "standard input is no terminal to ask on", Hint: "use --password-stdin"}
	}
	first, err := g.hidden(ctx, f, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := g.hidden(ctx, f, "Again: ")
	if err == nil && first != again {
		err = usagef("the passwords differ")
	}
	return first, err
}

// hidden reads a line from the terminal without echo. The echo comes back when ctx ends, too.
func (g *globals) hidden(ctx context.Context, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	fmt.Fprint(g.stderr, prompt)
	line, err := await(ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	fmt.Fprintln(g.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", errors.Join(err, term.Restore(fd, before)))
	}
	return line, nil
}

// await calls read, which waits for a person, but no longer than ctx lasts: read is left behind then, and the process ends.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		line, err := read()
		got <- result{line, err}
	}()
	select {
	case r := <-got:
		return r.line, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
