package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFileSize bounds the configuration file, in bytes.
const maxFileSize = 1 << 20

// SyntaxError is a mistake in the file: bad TOML, or a value that does not fit its key.
type SyntaxError struct {
	File    string
	Line    int    // from 1; 0 if it is not known
	Key     string // "imap.listen"; may be empty
	Message string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("%s: %s", position(e.File, e.Line), e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", position(e.File, e.Line), e.Key, e.Message)
}

// UnknownKeyError is a key or section that does not exist.
type UnknownKeyError struct {
	File    string
	Line    int    // from 1; 0 if it is not known
	Key     string // "imap.lisen"
	Nearest string // the key that was probably meant; empty if none is near
}

// Error implements error.
func (e *UnknownKeyError) Error() string {
	s := fmt.Sprintf("%s: unknown key %q", position(e.File, e.Line), e.Key)
	if e.Nearest != "" {
		s += fmt.Sprintf(": did you mean %q?", e.Nearest)
	}
	return s
}

func position(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// Load reads a file over Default. Beside the errors of reading it, they are one *SyntaxError, or a join of *UnknownKeyError.
func Load(path string) (Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	if info.Size() > maxFileSize {
		return Config{}, fmt.Errorf("read the configuration: %s is larger than %d bytes", path, maxFileSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return Parse(data, path)
}

// Parse is Load of data; name stands for the file in errors.
func Parse(data []byte, name string) (Config, error) {
	cfg := Default()
	meta, err := toml.Decode(string(data), &cfg)
	if err != nil {
		return Config{}, syntaxError(name, err)
	}
	if undecoded := meta.Undecoded(); len(undecoded) > 0 {
		return Config{}, unknownKeys(string(data), name, undecoded)
	}
	return cfg, nil
}

func syntaxError(name string, err error) error {
	parseErr, ok := errors.AsType[toml.ParseError](err)
	if !ok {
		// Values of another type are reported as text only: toml: line 2 (last key "imap.listen"): incompatible types: …
		syntax := &SyntaxError{File: name, Message: strings.TrimPrefix(err.Error(), "toml: ")}
		if n, _ := fmt.Sscanf(syntax.Message, "line %d (last key %q):", &syntax.Line, &syntax.Key); n == 2 {
			_, syntax.Message, _ = strings.Cut(syntax.Message, "): ")
		}
		return syntax
	}
	return &SyntaxError{File: name, Line: parseErr.Position.Line, Key: parseErr.LastKey, Message: parseErr.Message}
}

// unknownKeys reports each unknown key once: of an unknown section only the section.
func unknownKeys(data, name string, undecoded []toml.Key) error {
	known := Keys()
	var errs []error
	reported := map[string]bool{}
	for _, key := range undecoded {
		if len(key) > 1 && reported[key[:len(key)-1].String()] {
			reported[key.String()] = true
			continue
		}
		reported[key.String()] = true
		errs = append(errs, &UnknownKeyError{
			File: name, Line: lineOf(data, key), Key: key.String(), Nearest: nearest(key.String(), known),
		})
	}
	return errors.Join(errs...)
}

// lineOf finds the line of a key. The library keeps positions to itself and tells them only in errors, so the file is decoded
// once more into a type that has just this key, with a value that refuses to be decoded. 0 if that does not work out.
func lineOf(data string, key toml.Key) int {
	typ := reflect.TypeFor[refusal]()
	for i := len(key) - 1; i >= 0; i-- {
		typ = reflect.StructOf([]reflect.StructField{{
			Name: "Key", Type: typ, Tag: reflect.StructTag("toml:" + strconv.Quote(key[i])),
		}})
		if i == 1 && listed(key[0]) {
			typ = reflect.SliceOf(typ)
		}
	}
	_, err := toml.Decode(data, reflect.New(typ).Interface())
	parseErr, _ := errors.AsType[toml.ParseError](err)
	return parseErr.Position.Line
}

type refusal struct{}

// UnmarshalTOML implements toml.Unmarshaler.
func (*refusal) UnmarshalTOML(any) error { return errors.New("refused") }

// sectionType is the type of one section: of a list of them, that of each.
func sectionType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice {
		return t.Elem()
	}
	return t
}

// listed says whether a key is a section that can come several times, as [[policy]].
func listed(key string) bool {
	for section := range reflect.TypeFor[Config]().Fields() {
		if section.Tag.Get("toml") == key {
			return section.Type.Kind() == reflect.Slice
		}
	}
	return false
}

// Keys lists every section and key, "imap" and "imap.listen", in the order of the file.
func Keys() []string {
	var keys []string
	for section := range reflect.TypeFor[Config]().Fields() {
		name := section.Tag.Get("toml")
		keys = append(keys, name)
		for option := range sectionType(section.Type).Fields() {
			keys = append(keys, name+"."+option.Tag.Get("toml"))
		}
	}
	return keys
}

// nearest finds the known key with the fewest edits, or failing that the one with the same last part in another section.
// Nothing is near that needs more edits than a third of the key.
func nearest(key string, known []string) string {
	best, bestDistance := "", len(key)/3+1
	for _, k := range known {
		if strings.Contains(k, ".") != strings.Contains(key, ".") {
			continue
		}
		if d := editDistance(strings.ToLower(key), k); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	_, option, _ := strings.Cut(key, ".")
	option = cmp.Or(option, key)
	for i := 0; best == "" && i < len(known); i++ {
		if strings.HasSuffix(known[i], "."+option) {
			best = known[i]
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of neighbours that make b of a (optimal string alignment).
func editDistance(a, b string) int {
	if len(a) > maxNameLen || len(b) > maxNameLen {
		return maxNameLen
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, above, current := rows[0], rows[1], rows[2]
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			replace := above[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			current[j] = min(replace, above[j]+1, current[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, above, current = above, current, before
	}
	return above[len(b)]
}
