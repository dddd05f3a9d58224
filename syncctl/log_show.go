package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/spf13/cobra"

	"angarium/internal/control"
	"angarium/internal/node"
)

func newLogShowCommand(g *globals) *cobra.Command {
	var q control.LogQuery
	var file string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show the events of the log",
		Long: `Show the events of the log, one a line: time, shard:position/index, kind,
account, who did it, and what. Bodies and credentials are left out. --from and
--to are positions and belong to one shard. With --follow it goes on until it is
interrupted. --file shows what an old primary set aside when it came back
(aside/…/tail.log below its data directory) instead of the log.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case q.To > 0 && q.From > q.To:
				return usagef("--from %d is behind --to %d", q.From, q.To)
			case q.To > 0 && q.Follow:
				return usagef("--follow has no end: --to does not go with it")
			}
			if file != "" {
				return runLogShowFile(g, file, q)
			}
			return runLogShow(cmd.Context(), g, q)
		},
	}
	shardFlag(cmd, &q.Shard)
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "show this file of envelopes that were set aside")
	f.Uint64Var(&q.From, "from", 0, "first position (default the oldest held)")
	f.Uint64Var(&q.To, "to", 0, "last position (default the newest)")
	f.Uint64Var(&q.Limit, "limit", 0, "show at most so many events (default all)")
	f.StringVar(&q.Account, "account", "", "events of this account only")
	f.StringVar(&q.Kind, "kind", "", "events of this kind only, as MessagesAppended")
	f.BoolVar(&q.Follow, "follow", false, "go on with what comes")
	return cmd
}

func runLogShow(ctx context.Context, g *globals, q control.LogQuery) error {
	return g.connect(ctx, false, func(c *control.Client, m *meter) error {
		list, err := shards(ctx, c, q.Shard)
		if err != nil {
			return err
		}
		if len(list) > 1 && (q.From > 0 || q.To > 0) {
			return usagef("positions belong to one of the %d shards: name it with --shard", len(list))
		}
		m.show(control.Progress{What: "read the log"})
		if q.Follow {
			m.end() // waiting is what it is for
		}
		p := &logPrinter{g: g, meter: m, out: bufio.NewWriter(g.stdout), limit: q.Limit, flush: q.Follow || isTerminal(g.stdout)}
		if q.Follow {
			err = p.follow(ctx, c, q, list)
		} else {
			err = p.read(ctx, c, q, list)
		}
		m.end()
		if errors.Is(err, errEnough) {
			err = nil
		}
		return errors.Join(err, p.out.Flush())
	})
}

// runLogShowFile shows a file of what was set aside. It needs no data directory.
func runLogShowFile(g *globals, file string, q control.LogQuery) error {
	p := &logPrinter{g: g, meter: &meter{}, out: bufio.NewWriter(g.stdout), limit: q.Limit}
	err := node.ShowAside(file, max(q.Shard, 0), q.Account, q.Kind, func(e control.LogEvent) error {
		if e.Position < q.From || q.To > 0 && e.Position > q.To {
			return nil
		}
		return p.print(e)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, p.out.Flush())
}

// errEnough ends a listing at its limit.
var errEnough = errors.New("enough")

// logPrinter prints events. It can be used by several goroutines.
type logPrinter struct {
	g     *globals
	meter *meter
	flush bool // after each event

	mu           sync.Mutex
	out          *bufio.Writer
	shown, limit uint64
}

// read shows the shards one after another.
func (p *logPrinter) read(ctx context.Context, c *control.Client, q control.LogQuery, list []int) error {
	for _, q.Shard = range list {
		if err := c.Log(ctx, q, p.print); err != nil {
			return err
		}
	}
	return nil
}

// follow shows all shards at once. It ends with the first that ends.
func (p *logPrinter) follow(ctx context.Context, c *control.Client, q control.LogQuery, list []int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, q.Shard = range list {
		mine := q
		wg.Go(func() {
			err := c.Log(ctx, mine, p.print)
			if err == nil {
				err = errEnough
			}
			cancel(err) // the first cause stays
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (p *logPrinter) print(e control.LogEvent) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit > 0 && p.shown == p.limit {
		return errEnough
	}
	p.shown++
	err := p.meter.aside(func() error {
		var err error
		if p.g.json {
			err = json.NewEncoder(p.out).Encode(e)
		} else {
			_, err = p.out.WriteString(logLine(e) + "\n")
		}
		if err == nil && p.flush {
			err = p.out.Flush()
		}
		return err
	})
	if err == nil && p.shown == p.limit {
		err = errEnough
	}
	return err
}
