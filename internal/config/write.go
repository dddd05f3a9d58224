package config

import (
	"bufio"
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// commentWidth is where the comments of WriteTOML are wrapped, in bytes.
const commentWidth = 96

// WriteTOML writes the configuration as a file that Load reads back to the same value, with every option's documentation as
// comments if asked.
func (c Config) WriteTOML(w io.Writer, comments bool) error {
	b := bufio.NewWriter(w)
	root := reflect.ValueOf(c)
	for section, value := range root.Fields() {
		if section.Name != root.Type().Field(0).Name {
			b.WriteString("\n")
		}
		if comments {
			writeComment(b, section.Tag.Get("doc"))
		}
		if err := writeSections(b, section, value, comments); err != nil {
			return err
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// writeSections writes one section, or each of a list. Of an empty list the comments have what one would look like.
func writeSections(b *bufio.Writer, section reflect.StructField, value reflect.Value, comments bool) error {
	name := section.Tag.Get("toml")
	if value.Kind() != reflect.Slice {
		return writeSection(b, "["+name+"]", "", value, comments)
	}
	for i := range value.Len() {
		if i > 0 {
			b.WriteString("\n")
		}
		if err := writeSection(b, "[["+name+"]]", "", value.Index(i), comments && i == 0); err != nil {
			return err
		}
	}
	if value.Len() > 0 || !comments {
		return nil
	}
	return writeSection(b, "[["+name+"]]", "# ", reflect.Zero(value.Type().Elem()), true)
}

// writeSection writes one section, each of its lines behind a prefix.
func writeSection(b *bufio.Writer, header, prefix string, value reflect.Value, comments bool) error {
	fmt.Fprintf(b, "%s%s\n", prefix, header)
	for option, v := range value.Fields() {
		if comments {
			b.WriteString("\n")
			writeComment(b, option.Tag.Get("doc"))
		}
		text, err := formatValue(v)
		if err != nil {
			return fmt.Errorf("write %s.%s: %w", header, option.Tag.Get("toml"), err)
		}
		fmt.Fprintf(b, "%s%s = %s\n", prefix, option.Tag.Get("toml"), text)
	}
	return nil
}

func writeComment(b *bufio.Writer, doc string) {
	line := "#"
	for word := range strings.FieldsSeq(doc) {
		if len(line)+1+len(word) > commentWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// formatValue writes the kinds of values that Config has.
func formatValue(v reflect.Value) (string, error) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return quote(string(text)), err
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String()), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Slice:
		elems := make([]string, v.Len())
		for i := range elems {
			var err error
			if elems[i], err = formatValue(v.Index(i)); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(elems, ", ") + "]", nil
	}
	return "", fmt.Errorf("no TOML for a value of type %s", v.Type())
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
