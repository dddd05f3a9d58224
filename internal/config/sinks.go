package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/BurntSushi/toml"
)

// Sink is a receiver of events: one [[sink]] of the file that notify.sinks_file names.
type Sink struct {
	Name              string            `toml:"name"` // letters, digits, "_" and "-"
	Kind              string            `toml:"kind"` // "webhook", "exec" or "file"
	URL               string            `toml:"url"`
	SecretFile        string            `toml:"secret_file"` // of a webhook's signature, at least 16 bytes
	Header            map[string]string `toml:"header"`
	Command           []string          `toml:"command"`
	Path              string            `toml:"path"`
	MaxSize           Size              `toml:"max_size"` // of a file before it is rotated
	Keep              int               `toml:"keep"`     // files beside it
	Timeout           Duration          `toml:"timeout"`  // of one request or run
	Start             string            `toml:"start"`    // of a new sink: "now" or "beginning"
	Batch             int               `toml:"batch"`    // events together
	Patience          Duration          `toml:"patience"` // how long nothing may be taken before events become dead letters
	Accounts          []string          `toml:"accounts"`
	Groups            []string          `toml:"groups"`
	Events            []string          `toml:"events"`
	ExcludeFlags      []string          `toml:"exclude_flags"`
	ExcludeSpecialUse []string          `toml:"exclude_special_use"`
	Content           string            `toml:"content"`
	ContentSize       Size              `toml:"content_size"`
}

// LoadSinks reads the file of receivers; "" has none. Unknown keys are errors.
func LoadSinks(path string) ([]Sink, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the receivers of events: %w", err)
	}
	var file struct {
		Sinks []Sink `toml:"sink"`
	}
	meta, err := toml.Decode(string(data), &file)
	if err != nil {
		return nil, syntaxError(path, err)
	}
	var errs []error
	for _, key := range meta.Undecoded() {
		errs = append(errs, &UnknownKeyError{File: path, Key: key.String()})
	}
	return file.Sinks, errors.Join(errs...)
}
