package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mailbench/kit"
)

// record turns what another program printed on standard input into result lines: the output of "go test -bench" or of
// "syncctl rebuild --json".
func record(args []string) error {
	fs := flag.NewFlagSet("record", flag.ExitOnError)
	label := fs.String("label", env("BENCH_LABEL", "angarium"), "server label for the result [BENCH_LABEL]")
	cas := fs.String("case", "rebuild", "rebuild: name of the case")
	if len(args) == 0 {
		return errors.New("usage: mailbench record gobench|rebuild [flags]")
	}
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	var results []out
	var err error
	switch args[0] {
	case "gobench":
		results, err = goBenchmarks(os.Stdin)
	case "rebuild":
		results, err = rebuildRate(os.Stdin, *cas)
	default:
		err = fmt.Errorf("cannot record %q", args[0])
	}
	for _, r := range results {
		r["label"], r["ok"], r["date"] = *label, true, time.Now().UTC().Format(time.RFC3339)
		b, _ := json.Marshal(r)
		fmt.Println(string(b))
	}
	if err == nil && len(results) == 0 {
		err = errors.New("no result in the input")
	}
	return err
}

var goBenchLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// goBenchmarks reads the lines of benchmarks: name, count, then pairs of number and unit.
func goBenchmarks(in io.Reader) ([]out, error) {
	var results []out
	sc := bufio.NewScanner(in)
	for sc.Scan() {
		m := goBenchLine.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		r := out{"workload": "gobench", "case": "go/" + m[1]}
		f := strings.Fields(m[2])
		for i := 0; i+1 < len(f); i += 2 {
			if x, err := strconv.ParseFloat(f[i], 64); err == nil {
				r[f[i+1]] = x
			}
		}
		if ns, ok := r["ns/op"].(float64); ok {
			r["ms/op"] = ns / 1e6
		}
		results = append(results, r)
	}
	return results, sc.Err()
}

// rebuildRate reads the JSON objects of a rebuild; the last one with shards counts.
func rebuildRate(in io.Reader, cas string) ([]out, error) {
	type shard struct {
		Events  uint64  `json:"events"`
		Seconds float64 `json:"seconds"`
		Same    bool    `json:"same"`
	}
	var shards []shard
	dec := json.NewDecoder(in)
	for {
		var v struct {
			Shards []shard `json:"shards"`
			Done   struct {
				Shards []shard `json:"shards"`
			} `json:"done"`
		}
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the rebuild's result: %w", err)
		}
		if len(v.Shards) > 0 {
			shards = v.Shards
		} else if len(v.Done.Shards) > 0 {
			shards = v.Done.Shards
		}
	}
	var events uint64
	var secs float64
	for _, s := range shards {
		if !s.Same {
			return nil, errors.New("a rebuilt replica differs from the one it replaces")
		}
		events += s.Events
		secs += s.Seconds
	}
	if secs == 0 {
		return nil, errors.New("no shard was rebuilt")
	}
	return []out{{"workload": "rebuild", "case": cas, "events": events, "replay_s": kit.Round(secs), "events_s": kit.Round(float64(events) / secs)}}, nil
}
