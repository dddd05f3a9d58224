package mailstore

import (
	"context"
	"sync"
)

// lockTable is a lock for each key that anybody holds or waits for.
type lockTable[K comparable] struct {
	mu    sync.Mutex
	locks map[K]*keyLock
}

type keyLock struct {
	held chan struct{} // of capacity 1; full while held
	refs int
}

// lock waits for the lock of a key, or until ctx ends.
func (t *lockTable[K]) lock(ctx context.Context, key K) (unlock func(), err error) {
	t.mu.Lock()
	if t.locks == nil {
		t.locks = map[K]*keyLock{}
	}
	l := t.locks[key]
	if l == nil {
		l = &keyLock{held: make(chan struct{}, 1)}
		t.locks[key] = l
	}
	l.refs++
	t.mu.Unlock()
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; t.drop(key, l) }, nil
	case <-ctx.Done():
		t.drop(key, l)
		return nil, ctx.Err()
	}
}

func (t *lockTable[K]) drop(key K, l *keyLock) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.refs--; l.refs == 0 {
		delete(t.locks, key)
	}
}
