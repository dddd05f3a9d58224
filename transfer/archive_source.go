package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// Close implements Source.
func (*Archive) Close() error { return nil }

// Folders implements Source.
func (a *Archive) Folders(context.Context) ([]Folder, error) {
	var list []Folder
	for _, name := range a.order {
		b := a.boxes[name]
		list = append(list, Folder{Name: name, SpecialUse: b.SpecialUse, Subscribed: b.Subscribed})
	}
	return list, nil
}

// Numbers implements Source.
func (a *Archive) Numbers(_ context.Context, folder string) (Numbers, error) {
	return a.boxes[folder].Numbers, nil
}

// Items implements Source.
func (a *Archive) Items(_ context.Context, folder string) ([]Item, error) {
	return a.boxes[folder].items, nil
}

// Fetch implements Source. A message is what its GUID names, or is not given.
func (a *Archive) Fetch(ctx context.Context, folder string, items []Item, fn func(Item, []byte, error) error) error {
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return err
		}
		raw, err := a.body(a.boxes[folder].guids[it.ID])
		if err != nil {
			raw, err = nil, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		if err := fn(it, raw, err); err != nil {
			return err
		}
	}
	return nil
}

func (a *Archive) body(guid string) ([]byte, error) {
	path := bodyPath(a.dir, guid)
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > a.max {
		return nil, fmt.Errorf("%d bytes, more than the limit of %d", st.Size(), a.max)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != guid {
		return nil, fmt.Errorf("%s is damaged: it does not hash to its name", path)
	}
	return raw, nil
}
