package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"angarium/eventlog"
	"angarium/internal/config"
	"angarium/internal/control"
	"angarium/notify"
)

// watchOptions reads a request.
func (n *Node) watchOptions(ctx context.Context, req control.WatchRequest) (notify.WatchOptions, error) {
	opts := notify.WatchOptions{Once: req.Once}
	var err error
	if opts.Filter, err = n.filterOf(config.Sink{Accounts: req.Accounts, Events: req.Events, Groups: req.Groups}); err != nil {
		return opts, err
	}
	since := strings.TrimSpace(req.Since)
	if since == "" {
		return opts, nil
	}
	if pos, err := strconv.ParseUint(since, 10, 64); err == nil {
		opts.Since = map[int]notify.Place{}
		for i := range n.shards {
			opts.Since[i] = notify.Place{Position: eventlog.Position(max(pos, 1))}
		}
		return opts, nil
	}
	if strings.Count(since, ":") >= 2 && !strings.ContainsRune(since, 'T') { // no time
		return opts, n.sinceIDs(ctx, &opts, since)
	}
	if d, err := time.ParseDuration(since); err == nil && d < 0 {
		opts.After = time.Now().Add(d)
		return opts, nil
	}
	if opts.After, err = time.Parse(time.RFC3339, since); err != nil {
		return opts, fmt.Errorf("since %q: want a position, ids of events (shard:position:index, separated by commas), a time in RFC 3339, or a time ago like -2h", req.Since)
	}
	return opts, nil
}

// sinceIDs begins each shard behind the id that is named for it. A shard without one begins with the time of the earliest of them: to go on where one was in
// all shards takes the last id of each.
func (n *Node) sinceIDs(ctx context.Context, opts *notify.WatchOptions, list string) error {
	opts.Since = map[int]notify.Place{}
	var ids []notify.Origin
	for id := range strings.SplitSeq(list, ",") {
		origin, err := notify.ParseID(strings.TrimSpace(id))
		if err != nil {
			return fmt.Errorf("since: %w", err)
		}
		if origin.Shard >= len(n.shards) {
			return fmt.Errorf("since %s: there are %d shards, counted from 0", id, len(n.shards))
		}
		if _, ok := opts.Since[origin.Shard]; ok {
			return fmt.Errorf("since %s: two ids of shard %d", list, origin.Shard)
		}
		opts.Since[origin.Shard] = origin.After()
		ids = append(ids, origin)
	}
	if len(ids) == len(n.shards) {
		return nil
	}
	for _, id := range ids {
		at, err := n.notification.notifier.Feed(id.Shard).Time(ctx, id.Position)
		if errors.Is(err, eventlog.ErrNotFound) {
			return fmt.Errorf("since %s: position %d of shard %d is not in the log, which would tell where to begin in the others: name an id for each of the %d shards, or a time",
				list, id.Position, id.Shard, len(n.shards))
		}
		if err != nil {
			return err
		}
		if opts.After.IsZero() || at.Before(opts.After) {
			opts.After = at
		}
	}
	return nil
}
