package body

import (
	"fmt"
	"time"
)

// Sync makes everything that was appended before the call durable: the segments and, if there are new ones, their names.
// It may run beside Append, which it does not hold up, and beside Read. Concurrent calls run one after another.
//
// A failed Sync is final. After an fsync error the kernel may have dropped the pages it could not write and marked them
// clean, so that a second fsync succeeds although the data is gone. Therefore this and every later Sync and Append return
// an error that is ErrFailed and wraps the cause, and the owner must not make its index durable any more: it halts, and
// the restart cuts the segments at the last durable mark. Reads still work and are still verified.
func (s *Store) Sync() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	if err := s.writableLocked(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("body: sync: %w", err)
	}
	writers, names := s.unsynced, s.dirDirty
	sealed := make([]bool, len(writers))
	for i, w := range writers {
		w.unsynced = false
		sealed[i] = w.sealed // one that is left from now on is put on the list again
	}
	s.unsynced, s.dirDirty = nil, false
	s.mu.Unlock()
	if len(writers) == 0 && !names {
		return nil
	}

	begin := s.begin(s.opts.Hooks.Sync != nil)
	err := s.syncAll(writers, names)
	for i, w := range writers {
		if sealed[i] {
			_ = w.closeSync() // everything was synced, or the store has failed
		}
	}
	if err != nil {
		err = fmt.Errorf("body: sync: %w", s.fail(err))
	}
	if hook := s.opts.Hooks.Sync; hook != nil {
		hook(len(writers), time.Since(begin), err)
	}
	return err
}

func (s *Store) syncAll(writers []*writer, names bool) error {
	for _, w := range writers {
		if err := w.sync.SyncData(); err != nil {
			return fmt.Errorf("sync %s: %w", s.path(w.segment), err)
		}
	}
	if names {
		return syncDir(s.fs, s.dir)
	}
	return nil
}
