package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"angarium/internal/durable"
)

// SaveState writes a value as JSON to a file: after a crash at any moment the file holds the value before, or this one.
func SaveState(path string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return durable.WriteFile(path, append(b, '\n'))
}

// LoadState reads what SaveState wrote; ok is false when there is no file.
func LoadState(path string, value any) (ok bool, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, value)
	}
	if err != nil {
		return false, fmt.Errorf("load %s: %w", path, err)
	}
	return true, nil
}
