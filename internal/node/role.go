package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"angarium/internal/durable"
)

// The roles of a node in its site.
const (
	rolePrimary = "primary"
	roleReplica = "replica"
)

// role is what role.json says: the part that a node had when it was last running.
type role struct {
	Role string `json:"role"`
	// Primary is the node that leads, as far as a replica knows.
	Primary string `json:"primary,omitempty"`
	// Followed says that another node has had what this one wrote, and so may have taken its place while it was away.
	Followed bool `json:"followed,omitempty"`
}

func rolePath(dir string) string { return filepath.Join(dir, "role.json") }

// readRole reads role.json. A node without one has always been alone.
func readRole(dir string) (role, error) {
	r := role{Role: rolePrimary}
	data, err := os.ReadFile(rolePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err == nil && r.Role != rolePrimary && r.Role != roleReplica {
		err = fmt.Errorf("unknown role %q", r.Role)
	}
	if err != nil {
		return r, fmt.Errorf("read %s: %w", rolePath(dir), err)
	}
	return r, nil
}

// write replaces role.json durably.
func (r role) write(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write role: %w", err)
	}
	return durable.WriteFile(rolePath(dir), append(data, '\n'))
}
