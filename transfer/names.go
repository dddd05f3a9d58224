package transfer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"angarium/mailstore"
	"angarium/replica/state"
)

// mailboxName gives the name under which a folder is stored. Characters that cannot be in one become "_".
func mailboxName(folder, into string) (string, error) {
	if into != "" {
		folder = into + mailstore.Separator + folder
	}
	if name, err := mailstore.CleanName(folder); err == nil {
		return name, nil
	}
	folder = strings.Map(func(r rune) rune {
		if r == '*' || r == '%' || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(folder, "_"))
	levels := slices.DeleteFunc(strings.Split(folder, mailstore.Separator), func(l string) bool { return l == "" })
	return mailstore.CleanName(strings.Join(levels, mailstore.Separator))
}

// pattern compiles a pattern of folder names: "*" is anything, "%" anything within a level.
func pattern(p string) *regexp.Regexp {
	var b strings.Builder
	for _, r := range p {
		switch r {
		case '*':
			b.WriteString(".*")
		case '%':
			b.WriteString("[^/]*")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return regexp.MustCompile("(?is)^" + b.String() + "$") // every part is quoted
}

// chooser says which folders are wanted.
type chooser struct{ include, exclude []*regexp.Regexp }

func newChooser(include, exclude []string) chooser {
	var c chooser
	for _, p := range include {
		c.include = append(c.include, pattern(p))
	}
	for _, p := range exclude {
		c.exclude = append(c.exclude, pattern(p))
	}
	return c
}

func (c chooser) wants(name string) bool {
	matches := func(p *regexp.Regexp) bool { return p.MatchString(name) }
	return (len(c.include) == 0 || slices.ContainsFunc(c.include, matches)) && !slices.ContainsFunc(c.exclude, matches)
}

// systemFlags are the system flags of messages (RFC 9051, section 2.3.2).
var systemFlags = []string{`\Answered`, `\Deleted`, `\Draft`, `\Flagged`, `\Seen`}

// flagCleaner brings flags into what a mailbox can have.
type flagCleaner struct {
	keywords []string // of the mailbox, with those that were let in
	dropped  map[string]bool
}

// clean gives the flags that a mailbox can have, in order and without doubles.
func (c *flagCleaner) clean(flags []string) []string {
	var list []string
	for _, f := range flags {
		if strings.HasPrefix(f, `\`) {
			if k := slices.IndexFunc(systemFlags, func(s string) bool { return strings.EqualFold(s, f) }); k >= 0 {
				list = append(list, systemFlags[k])
			}
			continue // \Recent, and what no store has
		}
		if !keyword(f) {
			c.drop(f)
			continue
		}
		k := slices.IndexFunc(c.keywords, func(s string) bool { return strings.EqualFold(s, f) })
		switch {
		case k >= 0:
			f = c.keywords[k]
		case len(c.keywords) >= state.MaxKeywords:
			c.drop(f)
			continue
		default:
			c.keywords = append(c.keywords, f)
		}
		list = append(list, f)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (c *flagCleaner) drop(f string) {
	if c.dropped == nil {
		c.dropped = map[string]bool{}
	}
	if len(c.dropped) < maxProblems {
		c.dropped[f] = true
	}
}

// problem tells of the keywords that were dropped, "" when none was.
func (c *flagCleaner) problem() string {
	if len(c.dropped) == 0 {
		return ""
	}
	return fmt.Sprintf("%d keywords cannot be kept: the mailbox has %d, or they are malformed", len(c.dropped), len(c.keywords))
}

// keyword says whether a keyword is an atom (RFC 9051, section 9).
func keyword(f string) bool {
	return f != "" && len(f) <= mailstore.MaxKeywordBytes && !strings.ContainsFunc(f, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	})
}
