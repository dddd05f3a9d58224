package body

// writeBack has the operating system begin to write what was appended, once that is Options.WriteBack bytes. Otherwise all of it would be
// written when the index is flushed, and whoever waits for an fsync of the same disk in that moment, as the log does, waits behind it. It
// makes nothing durable: that is for Sync. The caller holds appendMu.
func (s *Store) writeBack(w *writer, end uint64) {
	w.begun = min(w.begun, end) // it may have been rolled back
	if s.opts.WriteBack == 0 || end-w.begun < s.opts.WriteBack || !s.writing.CompareAndSwap(false, true) {
		return
	}
	w.begun = end
	s.background.Go(func() {
		defer s.writing.Store(false)
		s.syncMu.Lock()
		defer s.syncMu.Unlock()
		if w.sync == nil {
			return // the segment is left and synced, or rolled back
		}
		// It waits for the write-back that was begun before, and is told of its errors: Sync would not hear of them again.
		if _, err := w.sync.SyncTo(int64(end)); err != nil {
			_ = s.fail(err)
		}
	})
}
