package salvage

import (
	"fmt"
	"strings"
)

// Outcome says what became of an event of the tail.
type Outcome string

// The outcomes.
const (
	Applied      Outcome = "applied"       // it was done, at least in part, or would be
	AlreadyThere Outcome = "already there" // there is nothing to do
	NotApplied   Outcome = "not applied"   // it was not done; Detail says why
)

// Record is one event of the tail.
type Record struct {
	Position uint64  `cbor:"1,keyasint" json:"position"` // in the old primary's log
	Index    uint64  `cbor:"2,keyasint" json:"index"`    // of the event
	Account  string  `cbor:"3,keyasint,omitempty" json:"account,omitempty"`
	Mailbox  string  `cbor:"4,keyasint,omitempty" json:"mailbox,omitempty"` // its name, or its id where no name is known
	Kind     string  `cbor:"5,keyasint" json:"kind"`
	Outcome  Outcome `cbor:"6,keyasint" json:"outcome"`
	Detail   string  `cbor:"7,keyasint,omitempty" json:"detail,omitempty"`
}

// Report is what became of a tail: a record for each of its events, in their order.
type Report struct {
	Records      []Record `cbor:"1,keyasint" json:"records"`
	Applied      int      `cbor:"2,keyasint" json:"applied"`
	AlreadyThere int      `cbor:"3,keyasint" json:"already_there"`
	NotApplied   int      `cbor:"4,keyasint" json:"not_applied"`
}

// tally collects what became of the parts of one event.
type tally struct {
	applied, already int
	why              []string // what was not applied, or is worth saying; without doubles
	skipped          int
}

// maxReasons bounds the different reasons that a record lists.
const maxReasons = 4

func (t *tally) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, w := range t.why {
		if w == s {
			return
		}
	}
	if len(t.why) < maxReasons {
		t.why = append(t.why, s)
	}
}

func (t *tally) skip(format string, args ...any) {
	t.skipped++
	t.say(format, args...)
}

// outcome sums up the parts.
func (t *tally) outcome() (Outcome, string) {
	o := NotApplied
	switch {
	case t.applied > 0:
		o = Applied
	case t.already > 0:
		o = AlreadyThere
	}
	var parts []string
	if kinds := min(t.applied, 1) + min(t.already, 1) + min(t.skipped, 1); kinds > 1 {
		for _, p := range []struct {
			n    int
			what Outcome
		}{{t.applied, Applied}, {t.already, AlreadyThere}, {t.skipped, NotApplied}} {
			if p.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
			}
		}
	}
	detail := strings.Join(parts, ", ")
	if len(t.why) > 0 {
		if detail != "" {
			detail += ": "
		}
		detail += strings.Join(t.why, "; ")
	}
	return o, detail
}
