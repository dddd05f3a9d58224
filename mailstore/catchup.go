package mailstore

import "context"

// CatchUp returns when this node has applied every write to an account that was decided before the call, on whatever node, also one whose
// outcome was not learned (eventlog.ErrUnknown): what is read after it shows whether that was done. It fails as a write does.
func (s *Store) CatchUp(ctx context.Context, id Identity, account string) error {
	_, err := perform(ctx, s, opCatchUp, id, onMail{account}, (*write).catchUp)
	return err
}

// catchUp waits for the account's lock: it is held until the outcome of a write is known and applied.
func (w *write) catchUp(ctx context.Context, req onMail) (nothing, error) {
	err := w.lock(ctx, req.Account)
	if err == nil {
		w.end()
	}
	return nothing{}, err
}
