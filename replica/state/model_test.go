package state_test

import (
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/replica/state"
	"angarium/replica/state/statetest"
)

// simFactor multiplies the length of the long tests; ANGARIUM_SIM sets it.
func simFactor(t testing.TB) int {
	env := os.Getenv("ANGARIUM_SIM")
	if env == "" {
		return 1
	}
	n, err := strconv.Atoi(env)
	if err != nil || n < 1 {
		t.Fatalf("ANGARIUM_SIM=%q is no factor", env)
	}
	return n
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// sound fails unless the state is what the model says and no invariant is broken.
func sound(t fataler, h *statetest.History) {
	t.Helper()
	if diff, err := h.Model.Diff(h.State, h.State.ReadBody); err != nil || diff != "" {
		t.Fatalf("state is not what the model says: %v\n%s", err, diff)
	}
	check(t, h.State)
}

func check(t fataler, m *state.Memory) {
	t.Helper()
	_, err := state.Check(m, state.CheckOptions{}, func(v state.Violation) { t.Fatalf("violation: %s", v) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestApplyDoesWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := statetest.New(statetest.Drawn{T: t})
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			if _, err := h.Next(); err != nil {
				t.Fatal(err)
			}
			sound(t, h)
		}
	})
}

// TestLongHistories looks at longer histories less often, and sees to it that every kind of event is among them.
func TestLongHistories(t *testing.T) {
	const events, histories = 1500, 4
	seen := map[event.Kind]int{}
	for seed := range uint64(histories * simFactor(t)) {
		h := statetest.New(statetest.Seeded(seed))
		for i := range events {
			entry, err := h.Next()
			if err != nil {
				t.Fatalf("seed %d, event %d: %v", seed, i, err)
			}
			seen[entry.Event.Kind()]++
			if i%100 == 0 || i == events-1 {
				sound(t, h)
			}
		}
	}
	for _, k := range event.Kinds() {
		if seen[k] < histories {
			t.Errorf("%d events of kind %s in %d histories", seen[k], k, histories)
		}
	}
	t.Log(seen)
}
