package imapd

import (
	"context"
	"iter"

	"angarium/replica/state"
)

// Bounds of what is read from the store before some of it is written to the client. No iterator of the store is open while
// anything is written.
const (
	maxRows     = 256
	maxRowBytes = 1 << 20 // of structures; one more may exceed it
	// maxRowGap is how many messages that were not asked for are read over rather than looked for anew.
	maxRowGap = 8
)

// fetchRow is one message that a command reads.
type fetchRow struct {
	seq   int
	live  state.Live
	msg   state.Message // its Structure is valid until the next rows are read
	found bool          // msg is there; false when the message was expunged meanwhile, or no records were asked for
}

// rowLoader reads messages of the client's view in bounded chunks.
type rowLoader struct {
	b                   *selected
	records, structures bool
	rows                []fetchRow
	arena               []byte // structures of the rows of one chunk
	bytes               int    // of structures in that chunk
}

// each calls fn for messages of the view, which are given in order.
func (l *rowLoader) each(ctx context.Context, messages iter.Seq2[int, state.Live], fn func(*fetchRow) error) error {
	flush := func(atLeast int) error {
		for len(l.rows) > atLeast {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := l.load()
			if err != nil {
				return err
			}
			for i := range l.rows[:n] {
				if err := fn(&l.rows[i]); err != nil {
					return err
				}
			}
			l.rows = l.rows[:copy(l.rows, l.rows[n:])]
		}
		return nil
	}
	for seq, live := range messages {
		l.rows = append(l.rows, fetchRow{seq: seq, live: live})
		if err := flush(maxRows - 1); err != nil {
			return err
		}
	}
	return flush(0)
}

// load reads the records of the first rows and says of how many.
func (l *rowLoader) load() (int, error) {
	if !l.records {
		return len(l.rows), nil
	}
	l.arena, l.bytes = l.arena[:0], 0
	n := 0
	for n < len(l.rows) && l.bytes < maxRowBytes {
		end := n + 1
		for end < len(l.rows) && l.rows[end].seq-l.rows[end-1].seq <= maxRowGap {
			end++
		}
		got, err := l.loadRun(l.rows[n:end])
		if err != nil {
			return 0, err
		}
		n += got
	}
	return n, nil
}

// loadRun reads records that lie close together, and says of how many rows: at least one.
func (l *rowLoader) loadRun(rows []fetchRow) (int, error) {
	if len(rows) == 1 {
		m, ok, err := l.b.mb.Message(rows[0].live.UID)
		rows[0].msg, rows[0].found = m, ok
		l.bytes += len(m.Structure)
		return 1, err
	}
	i := 0
	err := l.b.mb.Messages(rows[0].live.UID, rows[len(rows)-1].live.UID, func(m state.Message) (bool, error) {
		for i < len(rows) && rows[i].live.UID < m.UID {
			i++ // expunged meanwhile
		}
		if i == len(rows) || rows[i].live.UID != m.UID {
			return i < len(rows), nil
		}
		row := &rows[i]
		i++
		row.found, row.msg = true, m
		row.msg.Structure = nil
		if l.structures {
			start := len(l.arena)
			l.arena = append(l.arena, m.Structure...)
			l.bytes += len(m.Structure)
			row.msg.Structure = l.arena[start:len(l.arena):len(l.arena)]
		}
		return i < len(rows) && l.bytes < maxRowBytes, nil
	})
	if err != nil {
		return 0, err
	}
	if l.bytes < maxRowBytes {
		return len(rows), nil // the rest are not there
	}
	return i, nil
}
