package channel

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// decoding reads what peers send. Unknown fields are passed over, so that a newer node can say more; anything else that is not as it
// should be is refused.
var decoding = newDecoding()

func newDecoding() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		MaxArrayElements: maxSeedFiles + 16,
		MaxNestedLevels:  16,
	}.DecMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
}

func encode(v any) ([]byte, error) {
	b, err := cbor.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

func decode(b []byte, v any) error {
	if err := decoding.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: decode %T: %w", ErrProtocol, v, err)
	}
	return nil
}
