package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"angarium/internal/control"
)

// Progress is shown of what takes longer than progressAfter: a bar on a terminal, else a line every progressEvery.
const (
	progressAfter  = 2 * time.Second
	progressRedraw = 200 * time.Millisecond
	progressEvery  = 5 * time.Second
)

// meter shows on standard error how far something is, and that it goes on when nothing is known of how far. It can be used by several
// goroutines.
type meter struct {
	out  io.Writer
	tty  bool
	stop chan struct{} // nil: nothing is shown
	done chan struct{} // closed when nothing is shown any more
	once sync.Once

	mu    sync.Mutex
	now   control.Progress
	since time.Time // of now.What
	bar   *progressbar.ProgressBar
	drawn control.Progress // what bar was made for
}

// newMeter starts a meter, which ends with end.
func (g *globals) newMeter() *meter { return g.newMeterOn(isTerminal(g.stderr)) }

func (g *globals) newMeterOn(tty bool) *meter {
	m := &meter{out: g.stderr, tty: tty, since: time.Now()}
	if g.quiet || g.json {
		return m
	}
	m.stop, m.done = make(chan struct{}), make(chan struct{})
	go m.run()
	return m
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// show tells the meter how far something is.
func (m *meter) show(p control.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.What != m.now.What {
		m.since = time.Now()
	}
	m.now = p
}

// aside calls fn, which prints something, while the meter is out of its way.
func (m *meter) aside(fn func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clear()
	return fn()
}

// end takes the meter away. It can be called more than once.
func (m *meter) end() {
	if m.stop != nil {
		m.once.Do(func() { close(m.stop) })
		<-m.done
	}
}

func (m *meter) run() {
	defer close(m.done)
	select {
	case <-time.After(progressAfter):
	case <-m.stop:
		return
	}
	every := progressEvery
	if m.tty {
		every = progressRedraw
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		m.draw()
		select {
		case <-t.C:
		case <-m.stop:
			m.mu.Lock()
			defer m.mu.Unlock()
			m.clear()
			return
		}
	}
}

func (m *meter) draw() {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.now
	if p.What == "" {
		return
	}
	if !m.tty {
		fmt.Fprintf(m.out, "%s: %s\n", plain(p.What), amount(p, time.Since(m.since)))
		return
	}
	if m.bar == nil || m.drawn.What != p.What || m.drawn.Total != p.Total {
		m.clear()
		m.drawn = p
		total := int64(p.Total)
		if total <= 0 {
			total = -1 // a spinner
		}
		// Without an interval the spinner has no goroutine, which nothing would end.
		m.bar = progressbar.NewOptions64(total, progressbar.OptionSetSpinnerChangeInterval(0), progressbar.OptionSetWriter(m.out), progressbar.OptionSetDescription(plain(p.What)),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(plain(p.Unit)),
			progressbar.OptionClearOnFinish(), progressbar.OptionSpinnerType(14))
	}
	_ = m.bar.Set64(int64(p.Done)) // a bar that cannot be drawn harms nobody
}

// clear takes the bar off the terminal. m.mu is held.
func (m *meter) clear() {
	if m.bar != nil {
		_ = m.bar.Clear() // as in draw
		m.bar = nil
	}
}

// amount is how far something is in words.
func amount(p control.Progress, since time.Duration) string {
	after := fmt.Sprintf("after %d s", int(since.Seconds()))
	switch {
	case p.Done == 0 && p.Total == 0:
		return after
	case p.Total == 0:
		return fmt.Sprintf("%d %s %s", p.Done, plain(p.Unit), after)
	}
	return fmt.Sprintf("%d of %d %s %s", p.Done, p.Total, plain(p.Unit), after)
}
