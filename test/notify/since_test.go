package notify

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sorted gives ids in an order that says nothing: that of shards among each other is none.
func sorted(events []event) []string { return slices.Sorted(slices.Values(ids(events))) }

func TestSinceNamesAnEventOfEachShard(t *testing.T) {
	to := accounts(8)
	s := newSite(t, "[server]\nshards = 2\n", to...)
	for range 3 {
		for _, a := range to {
			must(t, s.deliver(a, "x"))
		}
	}
	all := s.history()
	of := map[int][]event{}
	for _, e := range all {
		of[e.Shard] = append(of[e.Shard], e)
	}
	if len(of) != 2 {
		t.Fatalf("events of %d shards", len(of))
	}
	since := func(where string) []event {
		return decodeLines(t, s.syncctl("events", "--since", where, "--json"))
	}
	a, b := len(of[0])/2, len(of[1])/3
	got := since(of[1][b].id() + "," + of[0][a].id())
	if diff := cmp.Diff(sorted(slices.Concat(of[0][a+1:], of[1][b+1:])), sorted(got)); diff != "" {
		t.Errorf("behind an id of each shard (-want +got): %s", diff)
	}
	// A shard that is not named begins with the time of the other's event: nothing of later is left out.
	got = since(of[0][a].id())
	inOne := slices.DeleteFunc(slices.Clone(got), func(e event) bool { return e.Shard != 1 })
	if n := len(inOne); n == 0 || n == len(of[1]) || !slices.Equal(ids(inOne), ids(of[1][len(of[1])-n:])) {
		t.Errorf("%d of %d events of the other shard: %v", n, len(of[1]), ids(inOne))
	}
	if n := len(got) - len(inOne); n != len(of[0])-a-1 {
		t.Errorf("%d events of the shard that was named", n)
	}
	for where, why := range map[string]string{
		of[0][0].id() + "," + of[0][1].id(): "two ids of shard 0",
		"2:1:0":                             "there are 2 shards",
		"0:1:0,now":                         "want shard:position:index",
		"0:999999:0":                        "name an id for each of the 2 shards",
	} {
		out, err := exec.Command(filepath.Join(programs, "syncctl"), "--data", s.data(), "events", "--since", where).CombinedOutput()
		if err == nil || !strings.Contains(string(out), why) {
			t.Errorf("--since %s: %v: %s", where, err, out)
		}
	}
}
