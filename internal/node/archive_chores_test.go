package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"angarium/internal/control"
)

func TestTheSelfTestFindsDamage(t *testing.T) {
	n, cfg, _ := archivedNode(t)
	defer closeNode(t, n)
	due := func() *control.SelfTest {
		t.Helper()
		if err := n.archiving.keepSelfTest(&control.SelfTest{OK: true}); err != nil {
			t.Fatal(err)
		}
		if err := n.archiving.selfTestIfDue(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		return n.archiving.status(0).SelfTest
	}
	if test := due(); test == nil || !test.OK || len(n.archiving.alarms()) > 0 {
		t.Fatalf("%+v, %v", test, n.archiving.alarms())
	}
	objects, err := filepath.Glob(strings.TrimPrefix(cfg.Archive.URL, "file://") + "/shard-0000/snap/*.snap")
	if err != nil || len(objects) == 0 {
		t.Fatalf("%v, %v", objects, err)
	}
	data, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Remove(objects[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(objects[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	if test := due(); test == nil || test.OK || !strings.Contains(test.Detail, filepath.Base(objects[0])) || len(n.archiving.alarms()) != 1 {
		t.Errorf("%+v, %v", test, n.archiving.alarms())
	}
	if again, err := readSelfTest(n.opts.Data); err != nil || again == nil || again.OK {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
	if left, err := os.Stat(filepath.Join(n.opts.Data, "archive-selftest")); err == nil {
		t.Errorf("%s is left", left.Name())
	}
}
