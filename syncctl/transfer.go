package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"angarium/internal/control"
)

// Bounds of imports and exports.
const (
	maxSourcePassword = 16 << 10 // bytes: access tokens are long
	maxAccountsFile   = 12 << 20 // bytes
	maxTransferred    = 10_000   // accounts that --json lists; all are counted
	maxProblemsShown  = 20       // of an account
)

// transfer makes a request and shows what becomes of each account.
func (g *globals) transfer(m *meter, what string, do func(func(control.Transferred) error) (control.TransferResult, error)) error {
	m.show(control.Progress{What: what})
	listed := []control.Transferred{}
	res, err := do(func(one control.Transferred) error {
		if g.json {
			if len(listed) < maxTransferred {
				listed = append(listed, one)
			}
			return nil
		}
		return m.aside(func() error { return g.showTransferred(one) })
	})
	m.end()
	if err != nil {
		return err
	}
	if g.json {
		res.Listed = listed
		err = g.printJSON(res)
	} else {
		text := fmt.Sprintf("%s, %s, %s", count(uint64(res.Accounts), "account"), count(uint64(res.Messages), "message"), bytesText(uint64(res.Bytes)))
		if res.DryRun {
			text = "would be copied: " + text
		}
		err = g.printf("%s in %.1f s, %d failed\n", text, res.Seconds, res.Failed)
	}
	if err == nil && res.Failed > 0 {
		err = &control.Error{
			Code: codeFailed, Message: count(uint64(res.Failed), "account") + " failed or lack messages", Hint: "a second run tries again what is missing",
		}
	}
	return err
}

// showTransferred tells what became of an account: what was done on standard output, what was not on standard error.
func (g *globals) showTransferred(one control.Transferred) error {
	for i, p := range one.Problems {
		if i == maxProblemsShown {
			fmt.Fprintf(g.stderr, "%s: … and %d more\n", plain(one.Account), len(one.Problems)-i)
			break
		}
		where := strings.Trim(p.Mailbox+" "+p.Message, " ")
		fmt.Fprintf(g.stderr, "%s: %s: %s\n", plain(one.Account), plain(where), plain(p.Text))
	}
	if one.Error != nil {
		fmt.Fprintf(g.stderr, "%s: %s\n", plain(one.Account), plain(one.Error.Error()))
	}
	if g.quiet {
		return nil
	}
	parts := []string{count(uint64(one.Messages), "message") + " copied"}
	for _, p := range []struct {
		n    int
		text string
	}{
		{one.Known, "there already"}, {one.Flags, "with new flags"}, {one.Expunged, "expunged"}, {one.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	kept := ""
	if one.Kept > 0 {
		kept = fmt.Sprintf(", %d with their numbers", one.Kept)
	}
	return g.printf("%s: %s%s: %s\n", plain(one.Account), count(uint64(one.Mailboxes), "mailbox"), kept, strings.Join(parts, ", "))
}

// sourcePassword reads the password for another server: from standard input, or once from the terminal.
func (g *globals) sourcePassword(ctx context.Context, fromStdin bool) (string, error) {
	var p string
	var err error
	if f, ok := g.stdin.(*os.File); !fromStdin && ok && isTerminal(f) {
		p, err = g.hidden(ctx, f, "Password there: ")
	} else if !fromStdin {
		return "", &control.Error{Code: control.CodeUsage, Message: "standard input is no terminal to ask on", Hint: "use --password-stdin"}
	} else {
		p, err = await(ctx, func() (string, error) {
			return bufio.NewReader(io.LimitReader(g.stdin, maxSourcePassword+3)).ReadString('\n')
		})
		if errors.Is(err, io.EOF) {
			err = nil
		}
		p = strings.TrimSuffix(strings.TrimSuffix(p, "\n"), "\r")
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("read the password: %w", err)
	case p == "":
		return "", usagef("the password is empty")
	case len(p) > maxSourcePassword:
		return "", usagef("the password is longer than %d bytes", maxSourcePassword)
	}
	return p, nil
}

// readAccounts reads a file of "SOURCE,PASSWORD,ACCOUNT[,NEW PASSWORD]" a line.
func (g *globals) readAccounts(path string) ([]control.ImportAccount, error) {
	in := g.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usageError{err}
		}
		defer f.Close() // read only
		in = f
	}
	limited := &io.LimitedReader{R: in, N: maxAccountsFile + 1}
	r := csv.NewReader(limited)
	r.Comment, r.FieldsPerRecord = '#', -1
	var list []control.ImportAccount
	seen := map[string]int{}
	for {
		fields, err := r.Read()
		if limited.N == 0 {
			return nil, usagef("%s is larger than %d bytes", path, maxAccountsFile)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", path, err)}
		}
		at, _ := r.FieldPos(0)
		if len(fields) < 3 || len(fields) > 4 || fields[0] == "" || fields[2] == "" {
			return nil, usagef("%s, line %d: want SOURCE,PASSWORD,ACCOUNT or SOURCE,PASSWORD,ACCOUNT,NEW PASSWORD", path, at)
		}
		if other := seen[fields[2]]; other > 0 {
			return nil, usagef("%s, line %d: account %s is in line %d, too", path, at, fields[2], other)
		}
		seen[fields[2]] = at
		one := control.ImportAccount{Source: fields[0], Password: fields[1], Account: fields[2]}
		if len(fields) == 4 {
			one.NewPassword = fields[3]
		}
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, usagef("%s names no account", path)
	}
	return list, nil
}

// parseRate reads bytes a second as "500k" or "10M".
func parseRate(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	number, unit := s, 1
	for i, suffix := range []string{"k", "M", "G"} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = rest, 1<<(10*(i+1))
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > 1<<40/unit {
		return 0, usagef("--rate %q: want bytes a second, as 500k or 10M", s)
	}
	return n * unit, nil
}
