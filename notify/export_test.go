package notify

import "angarium/eventlog/event"

// Decided says whether somebody has decided what an event of the log notifies of.
func Decided(ev event.Event) bool {
	w := &projection{projector: &projector{}, view: &pastView{reader: nothing{}, names: map[event.MailboxID]named{}}}
	return w.entry(ev)
}

// nothing is an empty state.
type nothing struct{}

// Get implements state.Reader.
func (nothing) Get([]byte) ([]byte, error) { return nil, nil }

// Scan implements state.Reader.
func (nothing) Scan(_, _ []byte, _ func(_, _ []byte) (bool, error)) error { return nil }

// FillIntake leaves no room for what is applied next.
func (f *Feed) FillIntake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = maxIntakeBytes
}
