package jslog_test

import (
	"context"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/eventlog/jslog"
	"angarium/eventlog/logtest"
)

const shard = "main"

// startEmbedded starts a server that ends with the test.
func startEmbedded(tb testing.TB, opt jslog.EmbeddedOptions) *jslog.Embedded {
	tb.Helper()
	if opt.MinFreeBytes == 0 {
		opt.MinFreeBytes = -1
	}
	e, err := jslog.StartEmbedded(testContext(tb), opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(e.Shutdown)
	return e
}

func testContext(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

func connect(tb testing.TB, e *jslog.Embedded) *jslog.Conn {
	tb.Helper()
	c, err := e.Connect()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

func create(tb testing.TB, c *jslog.Conn) *jslog.Log {
	tb.Helper()
	log, err := jslog.Create(testContext(tb), c, jslog.StreamConfig{Shard: shard})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { log.Close() })
	return log
}

func open(tb testing.TB, c *jslog.Conn, known eventlog.Mark) *jslog.Log {
	tb.Helper()
	log, err := jslog.Open(testContext(tb), c, jslog.StreamConfig{Shard: shard}, known)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { log.Close() })
	return log
}

func TestConformanceEmbedded(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Instance {
		opt := jslog.EmbeddedOptions{Dir: t.TempDir()}
		e := startEmbedded(t, opt)
		c := connect(t, e)
		log := create(t, c)
		return logtest.Instance{Log: log, Reopen: func(t *testing.T) eventlog.Log {
			log.Close()
			c.Close()
			e.Shutdown()
			return open(t, connect(t, startEmbedded(t, opt)), eventlog.Mark{})
		}}
	})
}
