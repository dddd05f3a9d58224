package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"angarium/internal/durable"
)

// healed counts what was damaged on this node and is whole again by another node's copy.
type healed struct {
	Envelopes uint64 `json:"envelopes"`
	Bodies    uint64 `json:"bodies"`
}

// heals keeps the counts in the data directory: the healing of a log ends with a restart.
type heals struct {
	mu    sync.Mutex
	path  string
	count healed
}

func openHeals(dir string) (*heals, error) {
	h := &heals{path: filepath.Join(dir, "heals.json")}
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &h.count)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: remove it, it only counts: %w", h.path, err)
	}
	return h, nil
}

func (h *heals) add(n healed) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := h.count
	next.Envelopes += n.Envelopes
	next.Bodies += n.Bodies
	data, err := json.Marshal(next)
	if err == nil {
		err = durable.WriteFile(h.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("count what was healed: %w", err)
	}
	h.count = next
	return nil
}

func (h *heals) counts() healed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}
