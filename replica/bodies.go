package replica

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"angarium/eventlog/event"
	"angarium/replica/body"
	"angarium/replica/state"
)

// ErrNoBody says that a body is not known.
var ErrNoBody = errors.New("no such body")

// HasBody says whether a body is known, so that a message may refer to it.
func (r *Replica) HasBody(guid event.GUID) (bool, error) {
	b, err := state.GetBody(probing{reader{r.db}, &r.absent}, guid)
	return b != nil, err
}

// ReadBody gives a message as it was received. Damage is noticed by checksums and gives an error, never wrong bytes, unless Hooks.Heal
// has the body.
func (r *Replica) ReadBody(guid event.GUID) ([]byte, error) {
	raw, err := r.ReadBodyHere(guid)
	if err != nil && !errors.Is(err, ErrNoBody) && r.opts.Hooks.Heal != nil {
		return r.heal(guid, err)
	}
	return raw, err
}

// ReadBodyHere is ReadBody without help from elsewhere.
func (r *Replica) ReadBodyHere(guid event.GUID) ([]byte, error) {
	defer r.pins.take()()
	b, err := state.GetBody(r.Reader(), guid)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoBody, guid)
	}
	return r.readBody(guid, b)
}

// heal gives a body that is damaged here from elsewhere.
func (r *Replica) heal(guid event.GUID, damage error) ([]byte, error) {
	raw, err := r.opts.Hooks.Heal(guid)
	if err == nil && event.GUID(sha256.Sum256(raw)) != guid {
		err = errors.New("what came instead does not hash to its GUID")
	}
	if err != nil {
		return nil, errors.Join(damage, fmt.Errorf("heal body %s: %w", guid, err))
	}
	r.opts.Logger.Error("a damaged body was read from elsewhere", "shard", r.opts.Shard, "guid", guid.String(), "damage", damage)
	return raw, nil
}

func (r *Replica) readStored(guid event.GUID, b *state.Body) ([]byte, error) {
	var stored []byte
	for i, e := range b.Extents {
		piece, err := r.bodies.Read(body.Extent{Segment: e.Segment, Offset: e.Offset, Length: e.Length}, guid, nil)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read body %s: %w", guid, err)
		case i == 0:
			stored = piece
		default:
			stored = append(stored, piece...)
		}
	}
	return stored, nil
}

func (r *Replica) readBody(guid event.GUID, b *state.Body) ([]byte, error) {
	stored, err := r.readStored(guid, b)
	if err != nil {
		return nil, err
	}
	raw, err := r.codec.Decode(b.Encoding, b.Size, stored)
	if err != nil {
		return nil, fmt.Errorf("read body %s: %w", guid, err)
	}
	return raw, nil
}

// checkBody reads a body whole and compares it with its GUID.
func (r *Replica) checkBody(guid event.GUID, b *state.Body) error {
	raw, err := r.readBody(guid, b)
	if err != nil {
		return err
	}
	if event.GUID(sha256.Sum256(raw)) != guid {
		return errors.New("its bytes do not hash to its GUID")
	}
	return nil
}
