package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// maxDeadBytes bounds a file of dead letters; one full one is kept beside it.
const maxDeadBytes = 64 << 20

// deadLetters is the file of the events that a receiver never took: JSON lines of deadLetter.
type deadLetters struct{ path string }

type deadLetter struct {
	Time  string          `json:"time"`
	Error string          `json:"error"`
	Event json.RawMessage `json:"event"`
}

// write adds events to the file and makes them durable.
func (d *deadLetters) write(events []*Event, cause error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write dead letters: %w", err)
		}
	}()
	if info, err := os.Stat(d.path); err == nil && info.Size() >= maxDeadBytes {
		if err := os.Rename(d.path, d.path+".1"); err != nil {
			return err
		}
	}
	reason, _ := clip(cause.Error(), maxShortText)
	now := time.Now().UTC().Format(timestampForm)
	var buf bytes.Buffer
	for _, e := range events {
		line, err := json.Marshal(deadLetter{now, reason, e.JSON()})
		if err != nil {
			return err
		}
		buf.Write(append(line, '\n'))
	}
	f, err := os.OpenFile(d.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(buf.Bytes())
	return errors.Join(err, f.Sync(), f.Close())
}
