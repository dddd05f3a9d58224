package compare

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Difference is what one node has and the other has not, or has otherwise.
type Difference[T any] struct {
	A      *T       `cbor:"1,keyasint,omitempty" json:"a,omitempty"` // nil: only B has it
	B      *T       `cbor:"2,keyasint,omitempty" json:"b,omitempty"` // nil: only A has it
	Fields []string `cbor:"3,keyasint,omitempty" json:"fields,omitempty"`
}

// ErrOrder says that a stream is not in its order: it was not made by this package.
var ErrOrder = errors.New("stream of digests or records is out of order")

// CompareDigests yields the accounts and mailboxes that differ, or that contradict themselves on either side, in the order of the streams. It
// ends with the first error of a stream.
func CompareDigests(a, b iter.Seq2[Digest, error]) iter.Seq2[Difference[Digest], error] {
	return merge(a, b, Digest.order, func(x, y *Digest) []string {
		var f fields
		f.differ("account", x.Account, y.Account)
		f.differ("mailbox", x.Mailbox, y.Mailbox)
		f.differ("uidvalidity", x.UIDValidity, y.UIDValidity)
		f.differ("uidnext", x.UIDNext, y.UIDNext)
		f.differ("highestmodseq", x.HighestModseq, y.HighestModseq)
		f.differ("messages", x.Messages, y.Messages)
		f.differ("digest", x.Kept, y.Kept)
		f.differ("row", x.Row, y.Row)
		f.differ("content", x.Content, y.Content)
		if x.Damage != "" || y.Damage != "" {
			f = append(f, "damage")
		}
		return f
	})
}

// CompareRecords yields the messages that differ, in the order of the streams. It ends with the first error of a stream.
func CompareRecords(a, b iter.Seq2[Record, error]) iter.Seq2[Difference[Record], error] {
	return merge(a, b, Record.order, func(x, y *Record) []string {
		var f fields
		f.differ("mailbox", x.Mailbox, y.Mailbox)
		f.differ("modseq", x.Modseq, y.Modseq)
		if !slices.Equal(x.Flags, y.Flags) {
			f = append(f, "flags")
		}
		f.differ("guid", x.GUID, y.GUID)
		f.differ("size", x.Size, y.Size)
		f.differ("internaldate", x.InternalDate, y.InternalDate)
		f.differ("savedate", x.SaveDate, y.SaveDate)
		if x.Damage != "" || y.Damage != "" {
			f = append(f, "damage")
		}
		return f
	})
}

// fields collects the names, as in JSON, of what differs.
type fields []string

func (f *fields) differ(name string, x, y any) {
	if x != y {
		*f = append(*f, name)
	}
}

// merge walks two ordered streams side by side.
func merge[T any](a, b iter.Seq2[T, error], order func(T, T) int, differ func(x, y *T) []string) iter.Seq2[Difference[T], error] {
	return func(yield func(Difference[T], error) bool) {
		left, right := pull(a, order), pull(b, order)
		defer left.stop()
		defer right.stop()
		x, errX := left.next()
		y, errY := right.next()
		for errX == nil && errY == nil && (x != nil || y != nil) {
			d := Difference[T]{A: x, B: y}
			side := 0
			switch {
			case x == nil:
				side = 1
			case y == nil:
				side = -1
			default:
				side = order(*x, *y)
			}
			if side < 0 {
				d.B = nil
			} else if side > 0 {
				d.A = nil
			} else {
				d.Fields = differ(x, y)
			}
			if (side != 0 || len(d.Fields) > 0) && !yield(d, nil) {
				return
			}
			if side <= 0 {
				x, errX = left.next()
			}
			if side >= 0 {
				y, errY = right.next()
			}
		}
		if err := errors.Join(errX, errY); err != nil {
			yield(Difference[T]{}, fmt.Errorf("compare: %w", err))
		}
	}
}

// puller takes one value after another from a stream and holds that they ascend.
type puller[T any] struct {
	pull  func() (T, error, bool)
	stop  func()
	order func(T, T) int
	last  *T
}

func pull[T any](s iter.Seq2[T, error], order func(T, T) int) *puller[T] {
	next, stop := iter.Pull2(s)
	return &puller[T]{pull: next, stop: stop, order: order}
}

// next gives nil at the end.
func (p *puller[T]) next() (*T, error) {
	v, err, ok := p.pull()
	switch {
	case !ok:
		return nil, nil
	case err != nil:
		return nil, err
	case p.last != nil && p.order(*p.last, v) >= 0:
		return nil, fmt.Errorf("%w: %+v after %+v", ErrOrder, v, *p.last)
	}
	p.last = &v
	return &v, nil
}
