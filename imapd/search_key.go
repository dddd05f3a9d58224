package imapd

import (
	"errors"
	"slices"
	"time"

	"angarium/mailstore"
	"angarium/replica/state"
)

// searchCost says what has to be read of a message to decide on a search key.
type searchCost uint8

const (
	costView      searchCost = iota // number, UID, flags, modseq: in memory
	costRecord                      // dates, size, GUID
	costStructure                   // the sent date, cached header fields
	costBody
)

// verdict is what is known of a message and a search key.
type verdict uint8

const (
	no verdict = iota
	yes
	unknown // more has to be read
)

func verdictOf(ok bool) verdict {
	if ok {
		return yes
	}
	return no
}

// candidate is a message that is compared with search keys, which may use what level allows.
type candidate struct {
	content
	live  state.Live
	level searchCost
}

// matchFunc decides on a message. It is called with its key's cost allowed, and may still answer unknown below costBody.
type matchFunc func(*candidate) (verdict, error)

// searchEnv is what search keys are prepared with.
type searchEnv struct {
	s        *session
	keywords []string
	now      time.Time
}

type keyOp uint8

const (
	opMatch keyOp = iota
	opAnd
	opOr
	opNot
)

// searchKey is a node of the tree of search keys, whose depth the parser bounds.
type searchKey struct {
	op    keyOp
	cost  searchCost // the least that may decide it, for opMatch; of opAnd, opOr and opNot the most that may be needed
	kids  []*searchKey
	bind  func(*searchEnv) (matchFunc, error)
	match matchFunc
}

func leafKey(cost searchCost, bind func(*searchEnv) (matchFunc, error)) *searchKey {
	return &searchKey{op: opMatch, cost: cost, bind: bind}
}

// simpleKey is a leaf that depends on the message alone.
func simpleKey(cost searchCost, match func(*candidate) bool) *searchKey {
	return leafKey(cost, func(*searchEnv) (matchFunc, error) {
		return func(m *candidate) (verdict, error) { return verdictOf(match(m)), nil }, nil
	})
}

// innerKey joins keys; the cheapest are asked first.
func innerKey(op keyOp, kids ...*searchKey) *searchKey {
	if op != opNot && len(kids) == 1 {
		return kids[0]
	}
	slices.SortStableFunc(kids, func(a, b *searchKey) int { return int(a.cost) - int(b.cost) })
	return &searchKey{op: op, cost: kids[len(kids)-1].cost, kids: kids}
}

// prepare resolves sets, flags and dates, once per search.
func (k *searchKey) prepare(env *searchEnv) (err error) {
	if k.op == opMatch {
		k.match, err = k.bind(env)
		return err
	}
	for _, kid := range k.kids {
		if err := kid.prepare(env); err != nil {
			return err
		}
	}
	return nil
}

// eval decides on a message with what m.level allows to be read.
func (k *searchKey) eval(m *candidate) (verdict, error) {
	if k.op == opMatch {
		if k.cost > m.level {
			return unknown, nil
		}
		return k.match(m)
	}
	decided, result := no, yes // one kid that is decided makes the result; all the others leave it
	if k.op == opOr {
		decided, result = yes, no
	}
	for _, kid := range k.kids {
		v, err := kid.eval(m)
		switch {
		case err != nil:
			return unknown, err
		case k.op == opNot:
			return v.negated(), nil
		case v == decided:
			return v, nil
		case v == unknown:
			result = unknown
		}
	}
	return result, nil
}

func (v verdict) negated() verdict {
	switch v {
	case yes:
		return no
	case no:
		return yes
	}
	return unknown
}

func isDamaged(err error) bool { return errors.Is(err, mailstore.ErrDamaged) }
