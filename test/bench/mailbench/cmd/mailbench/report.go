package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
)

// Marks between which report writes the tables into a document.
const (
	markBegin = "<!-- results: begin (written by test/bench/run.sh) -->"
	markEnd   = "<!-- results: end -->"
)

// results are the numbers of a result file: by case, key and label, in the order of the runs.
type results struct {
	values map[string]map[string][]float64 // case "\x00" key -> label -> values
	labels []string                        // in the order of preference
	notes  []string
}

// report prints the tables, or writes them into a document.
func report(args []string) error {
	fs := flag.NewFlagSet("report", flag.ExitOnError)
	into := fs.String("into", "", "Markdown file to write the tables into, between its marks; empty: print them")
	ours := fs.String("ours", "angarium", "label whose ratio to the others is told")
	if err := fs.Parse(args); err != nil {
		return err
	}
	res, err := readResults(fs.Args(), *ours)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	for _, s := range sections {
		res.writeSection(&b, s, *ours)
	}
	for _, n := range res.notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if *into == "" {
		_, err := os.Stdout.Write(b.Bytes())
		return err
	}
	doc, err := os.ReadFile(*into)
	if err != nil {
		return err
	}
	begin, end := bytes.Index(doc, []byte(markBegin)), bytes.Index(doc, []byte(markEnd))
	if begin < 0 || end < begin {
		return fmt.Errorf("%s lacks the marks %q and %q", *into, markBegin, markEnd)
	}
	text := slices.Concat(doc[:begin+len(markBegin)], []byte("\n\n"), b.Bytes(), []byte("\n"), doc[end:])
	return os.WriteFile(*into, text, 0o644)
}

// readResults gathers the runs of some result files; ours comes first among the labels.
func readResults(files []string, ours string) (*results, error) {
	res := &results{values: map[string]map[string][]float64{}}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			var m map[string]any
			if json.Unmarshal(sc.Bytes(), &m) == nil {
				res.add(m)
			}
		}
		if err := sc.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		f.Close()
	}
	sort.Strings(res.notes)
	res.notes = slices.Compact(res.notes)
	sort.SliceStable(res.labels, func(i, j int) bool { return res.labels[i] == ours && res.labels[j] != ours })
	return res, nil
}

// add takes one run. A failed one leaves a note and no number.
func (res *results) add(m map[string]any) {
	cas, _ := m["case"].(string)
	label, _ := m["label"].(string)
	if !slices.Contains(res.labels, label) && label != "disk" {
		res.labels = append(res.labels, label)
	}
	if ok, _ := m["ok"].(bool); !ok {
		res.notes = append(res.notes, fmt.Sprintf("%s on %s failed: %v", cas, label, m["error"]))
		return
	}
	if w, ok := m["wrong"]; ok {
		b, _ := json.Marshal(w)
		res.notes = append(res.notes, fmt.Sprintf("%s on %s, wrong answers: %s", cas, label, b))
	}
	for k, v := range m {
		x, isNumber := v.(float64)
		if !isNumber {
			continue
		}
		at := cas + "\x00" + k
		if res.values[at] == nil {
			res.values[at] = map[string][]float64{}
		}
		res.values[at][label] = append(res.values[at][label], x)
	}
}

// writeSection prints a table, leaving out rows that nobody has a number for.
func (res *results) writeSection(b *bytes.Buffer, s section, ours string) {
	labels := res.labels
	if s.only != "" {
		labels = []string{s.only}
	}
	var rows bytes.Buffer
	for _, row := range s.rows {
		byLabel := res.values[row.cas+"\x00"+row.key]
		if !slices.ContainsFunc(labels, func(l string) bool { return len(byLabel[l]) > 0 }) {
			continue
		}
		fmt.Fprintf(&rows, "| %s | %s |", row.title, row.unit)
		for _, l := range labels {
			fmt.Fprintf(&rows, " %s |", spread(byLabel[l]))
		}
		for _, l := range labels {
			if l != ours && s.only == "" {
				fmt.Fprintf(&rows, " %s |", ratio(byLabel[ours], byLabel[l]))
			}
		}
		rows.WriteByte('\n')
	}
	if rows.Len() == 0 {
		return
	}
	head := append([]string{s.title, "unit"}, labels...)
	for _, l := range labels {
		if l != ours && s.only == "" {
			head = append(head, ours+" ÷ "+l)
		}
	}
	if s.only != "" {
		head = []string{s.title, "unit", "value"}
	}
	fmt.Fprintf(b, "| %s |\n|---|---|%s\n%s\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-2), rows.Bytes())
}

// spread is the median and, from two runs up, min..max.
func spread(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	s := slices.Sorted(slices.Values(v))
	if len(s) == 1 {
		return number(s[0])
	}
	return fmt.Sprintf("%s (%s..%s)", number(middle(s)), number(s[0]), number(s[len(s)-1]))
}

func ratio(a, b []float64) string {
	if len(a) == 0 || len(b) == 0 {
		return "–"
	}
	x, y := middle(slices.Sorted(slices.Values(a))), middle(slices.Sorted(slices.Values(b)))
	if y == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", x/y)
}

func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3g", f)
}
