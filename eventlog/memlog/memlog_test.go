package memlog_test

import (
	"testing"

	"go.uber.org/goleak"

	"angarium/eventlog"
	"angarium/eventlog/logtest"
	"angarium/eventlog/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Instance {
		log := memlog.New()
		t.Cleanup(func() { log.Close() })
		return logtest.Instance{Log: log, Reopen: func(*testing.T) eventlog.Log { return log }}
	})
}
