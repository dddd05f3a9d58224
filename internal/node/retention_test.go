package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/mailstore"
	"angarium/replica/state"
	"angarium/restore"
)

func noProgress(control.Progress) {}

func verifyDeep(t *testing.T, n *Node) []string {
	t.Helper()
	var found []string
	if _, err := n.verify(t.Context(), true, func(v state.Violation) { found = append(found, v.String()) }, noProgress); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestThePrefixOfAnArchivedLogIsPurged(t *testing.T) {
	n, cfg, _ := archivedNode(t)
	n.opts.Config.Log.Retain, cfg.Log.Retain = 1, 1
	want := totals(t, n)
	s := n.shards[mailstore.ShardOf("ann", 2)]
	last := s.replica.Applied().Position

	dry, err := n.retention.purge(t.Context(), s, true, noProgress)
	if err != nil || dry.Before <= 1 || dry.Before > uint64(last) {
		t.Fatalf("dry run: %+v, %v", dry, err)
	}
	if first, err := n.FirstPosition(t.Context(), s.number); err != nil || first != 1 {
		t.Fatalf("a dry run purged: the log begins at %d, %v", first, err)
	}
	res, err := n.retention.purge(t.Context(), s, false, noProgress)
	if err != nil || res.Before < dry.Before || res.Purged != res.Before-1 {
		t.Fatalf("%+v, %v", res, err)
	}
	first, err := n.FirstPosition(t.Context(), s.number)
	if err != nil || uint64(first) != res.Before {
		t.Fatalf("the log begins at %d, %v; want %d", first, err, res.Before)
	}
	if found := verifyDeep(t, n); len(found) > 0 {
		t.Errorf("after the purge: %v", found)
	}
	var refused *control.Error
	if _, err := s.rebuild(t.Context(), func(_, _ uint64) {}); !errors.As(err, &refused) || refused.Hint == "" {
		t.Errorf("rebuild: %v, want a refusal with a way out", err)
	}
	// The past is in the archive, and restores go there by themselves.
	h, err := n.pasts(control.ArchiveRef{}).of(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	if err := restore.List(t.Context(), h, restore.Query{Account: "ann"}, func(restore.Happened) error { seen++; return nil }); err != nil || seen < 6 {
		t.Errorf("history: %d events, %v", seen, err)
	}
	if err := restore.List(t.Context(), restore.History{Log: s.log}, restore.Query{Account: "ann", From: 1}, func(restore.Happened) error { return nil }); !errors.Is(err, restore.ErrTooOld) {
		t.Errorf("history of the log alone: %v, want %v", err, restore.ErrTooOld)
	}

	dir := n.opts.Data
	closeNode(t, n)
	n = openNode(t, dir, cfg)
	defer func() { closeNode(t, n) }()
	if got := totals(t, n); fmt.Sprint(got) == "" || got[s.number].Digest != want[s.number].Digest {
		t.Errorf("opened again: %+v, want %+v", got, want)
	}
	if found := verifyDeep(t, n); len(found) > 0 {
		t.Errorf("opened again: %v", found)
	}
	testLostBeginning(t, n, s.number)
}

// testLostBeginning holds that a log is found out that begins elsewhere than it was purged to.
func testLostBeginning(t *testing.T, n *Node, number int) {
	s := n.shards[number]
	right := n.layout.Bases[number]
	for name, wrong := range map[string]base{
		"it lost more than was purged":  {},
		"it has another history before": {Position: right.Position, Hash: strings.Repeat("ab", 32), NextIndex: right.NextIndex, Epoch: right.Epoch},
	} {
		n.layout.Bases[number] = wrong
		if found := verifyDeep(t, n); len(found) != 1 || !strings.Contains(found[0], "log") {
			t.Errorf("%s: %v", name, found)
		}
	}
	n.layout.Bases[number] = right
	head, err := s.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.anchored(t.Context(), eventlog.Head{First: head.First, Last: head.Last}); err != nil {
		t.Error(err)
	}
}

func TestTheLogIsKeptForWhoeverNeedsIt(t *testing.T) {
	n, _, _ := archivedNode(t)
	defer func() { closeNode(t, n) }()
	s := n.shards[0]
	c := &n.opts.Config
	c.Log.Retain = config.Duration(time.Hour)
	res, err := n.retention.purge(t.Context(), s, false, noProgress)
	if err != nil || res.Purged != 0 || len(res.Holds) != 1 || res.Holds[0].Kind != holdRetain {
		t.Errorf("a log that is young: %+v, %v", res, err)
	}
	c.Log.Retain = 1
	c.Archive.URL = "file://" + filepath.Join(t.TempDir(), "elsewhere")
	res, err = n.retention.purge(t.Context(), s, false, noProgress)
	if err != nil || res.Purged != 0 || res.Holds[0].Kind != holdArchive || holding(res) == "" {
		t.Errorf("a log whose archive is not there: %+v, %v", res, err)
	}
	c.Archive.URL = ""
	var refused *control.Error
	if _, err := n.retention.purge(t.Context(), s, false, noProgress); !errors.As(err, &refused) || !strings.Contains(refused.Hint, "retain_without_archive") {
		t.Errorf("a log without an archive: %v", err)
	}
	c.Log.RetainWithoutArchive = true
	n.layout.Salvage = map[int]string{0: "aside/x"}
	if res, err = n.retention.purge(t.Context(), s, false, noProgress); err != nil || res.Purged != 0 || res.Holds[0].Kind != holdSalvage {
		t.Errorf("a log with something set aside: %+v, %v", res, err)
	}
	n.layout.Salvage = nil
	n.restoring.Lock()
	if _, err := n.retention.purge(t.Context(), s, false, noProgress); !errors.As(err, &refused) || refused.Code != control.CodeUnavailable {
		t.Errorf("while a restore runs: %v", err)
	}
	n.restoring.Unlock()
	if res, err = n.retention.purge(t.Context(), s, false, noProgress); err != nil || res.Purged == 0 {
		t.Errorf("at last: %+v, %v", res, err)
	}
}

func TestBodiesWithoutMessagesAreDroppedEverywhere(t *testing.T) {
	n, _, _ := archivedNode(t)
	defer func() { closeNode(t, n) }()
	ctx := t.Context()
	s := n.shards[mailstore.ShardOf("ann", 2)]
	const text = "Subject: only ann's\r\n\r\nThis one goes.\r\n"
	body, err := n.store.Prepare([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.store.CreateMailbox(ctx, operator(), "ann", mailstore.NewMailbox{Name: "Old"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.store.Append(ctx, operator(), "ann", "Old", []mailstore.NewMessage{{Body: body}}); err != nil {
		t.Fatal(err)
	}
	known := func() bool {
		t.Helper()
		ok, err := s.replica.HasBody(body.GUID)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	tidy := func() control.CompactedShard {
		t.Helper()
		res, err := n.retention.tidy(ctx, s, noProgress)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	n.opts.Config.Replica.KeepBodies = config.Duration(time.Nanosecond)
	if res := tidy(); res.Dropped != 0 || res.Waiting != 0 || !known() {
		t.Fatalf("dropped the body of a message: %+v", res)
	}
	if err := n.store.DeleteMailbox(ctx, operator(), "ann", "Old"); err != nil {
		t.Fatal(err)
	}
	n.opts.Config.Replica.KeepBodies = config.Duration(time.Hour)
	if res := tidy(); res.Dropped != 0 || res.Waiting != 1 || !known() {
		t.Fatalf("a body is kept for an hour: %+v", res)
	}
	n.opts.Config.Replica.KeepBodies = config.Duration(time.Nanosecond)
	if res := tidy(); res.Dropped != 1 || res.Waiting != 0 || known() {
		t.Fatalf("a body without a message: %+v", res)
	}
	if n.RetentionTotals(s.number).Dropped != 1 {
		t.Errorf("counted: %+v", n.RetentionTotals(s.number))
	}
	rebuilt, err := s.rebuild(ctx, func(_, _ uint64) {})
	if err != nil || !rebuilt.Same {
		t.Errorf("made anew from the log: %+v, %v", rebuilt, err)
	}
	if err := n.dropRebuilt(); err != nil {
		t.Error(err)
	}
	appendMail(t, n, "ann", text) // its bytes are sent again
	if raw, err := s.replica.ReadBody(body.GUID); err != nil || string(raw) != text {
		t.Errorf("the body that came again: %q, %v", raw, err)
	}
	if found := verifyDeep(t, n); len(found) > 0 {
		t.Error(found)
	}
	u, err := n.usage(ctx, control.ArchiveRef{})
	if err != nil || u.Shards[s.number].Retention == nil || u.Shards[s.number].Retention.Reason == "" {
		t.Errorf("usage: %+v, %v", u.Shards, err)
	}
}
