package mailstore

import (
	"context"

	"angarium/replica"
)

// WatchAccount tells of what happens in an account on this node after the call, until Close of the watcher: to its mailboxes and
// subscriptions, but not what the session of the identity does. News of more than most of them that nobody has taken are lost, which is
// told. What was acknowledged to anybody on this node can be taken.
func (s *Store) WatchAccount(ctx context.Context, id Identity, account string, most int) (*replica.AccountWatcher, error) {
	if err := id.may(account); err != nil {
		return nil, err
	}
	return s.shardOf(account).Replica.WatchAccount(ctx, account, id.Session, most)
}
