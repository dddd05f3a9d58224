package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"angarium/internal/control"
	"angarium/internal/durable"
)

const (
	// scrubSlice bounds what is read of bodies, or of the log, between two looks at whether to go on.
	scrubSlice = 1 << 20
	// scrubMessages is how many messages are looked at in one slice of the index, beside the mailbox that exceeds it.
	scrubMessages = 2000
	// scrubMessageBytes is about what the rows of a message take, for the rate.
	scrubMessageBytes = 512
	// scrubSave is how often it is written down how far a pass is.
	scrubSave = 20 * time.Second
	// maxFindings bounds the findings that are kept.
	maxFindings = 100
	// scrubRetry is how long a pass waits that could not go on.
	scrubRetry = 10 * time.Second
)

// The stages of a pass over a shard, in their order.
const (
	stageLog    = "log"
	stageBodies = "bodies"
	stageIndex  = "index"
)

// scrubPlace is how far a pass is: what is kept in scrub.json.
type scrubPlace struct {
	Running  bool      `json:"running"`
	Shard    int       `json:"shard"`
	Stage    string    `json:"stage,omitempty"`
	Log      base      `json:"log,omitzero"`       // the last envelope that was read
	Behind   string    `json:"behind,omitempty"`   // the last body or mailbox, in hex
	Started  time.Time `json:"started,omitzero"`   // of the running pass
	LastPass time.Time `json:"last_pass,omitzero"` // when the last whole one ended
	Bytes    uint64    `json:"bytes,omitempty"`
	Found    uint64    `json:"found,omitempty"`
	Healed   uint64    `json:"healed,omitempty"`

	Findings []control.ScrubFinding `json:"findings,omitempty"`
}

// scrubber reads all that is stored, again and again: the log, the bodies, the index.
type scrubber struct {
	node   *Node
	path   string
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // a pass is wanted now; capacity 1

	mu      sync.Mutex
	place   scrubPlace
	step    control.Progress // of the stage
	hurry   bool             // no rate
	saved   time.Time
	changed chan struct{} // closed when place or step changes
	lastErr error         // why the pass does not go on
}

func (n *Node) openScrub() error {
	s := &scrubber{
		node: n, path: filepath.Join(n.opts.Data, "scrub.json"), done: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	data, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("open scrub: %w", err)
	default:
		if err := json.Unmarshal(data, &s.place); err != nil || s.place.Shard < 0 || s.place.Shard >= len(n.shards) {
			n.log.Warn("scrub.json is damaged: the next pass begins anew", "error", err)
			s.place = scrubPlace{}
		}
		s.place.Running = s.place.Running && n.opts.Config.Scrub.Rate > 0 // else it was asked for, and whoever asked has gone
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	n.scrub = s
	go s.run(ctx)
	return nil
}

func (s *scrubber) close() {
	s.cancel()
	<-s.done
}

// run makes passes, whenever one is due or wanted, until ctx ends.
func (s *scrubber) run(ctx context.Context) {
	defer close(s.done)
	defer s.save(true)
	wait := time.Duration(0)
	for {
		timer := time.NewTimer(max(s.due(), wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.wake:
			timer.Stop()
			wait = 0
			continue // it may be due now
		case <-timer.C:
		}
		wait = 0
		err := s.pass(ctx)
		s.update(func() { s.lastErr = err })
		if err != nil && ctx.Err() == nil {
			s.node.log.Warn("scrub cannot go on; trying again", "error", err)
			wait = scrubRetry
		}
	}
}

// due says how long it is to the next pass.
func (s *scrubber) due() time.Duration {
	c := s.node.opts.Config.Scrub
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.place.Running:
		return 0
	case c.Rate == 0:
		return 1 << 62
	case s.place.LastPass.IsZero():
		return 0
	}
	return max(time.Until(s.place.LastPass.Add(c.Every.Std())), 0)
}

// now makes a pass begin now, or the one that runs hurry.
func (s *scrubber) now(hurry bool) {
	s.update(func() {
		s.hurry, s.lastErr = s.hurry || hurry, nil
		if !s.place.Running {
			s.begin()
		}
	})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// begin begins a pass. s.mu is held.
func (s *scrubber) begin() {
	s.place = scrubPlace{Running: true, Stage: stageLog, Started: time.Now().UTC().Truncate(time.Second), LastPass: s.place.LastPass}
}

// update changes what is said of the pass, and tells those who watch it.
func (s *scrubber) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *scrubber) at() scrubPlace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.place
}

// pass makes a pass over all shards, or goes on with the one that was begun.
func (s *scrubber) pass(ctx context.Context) error {
	if !s.at().Running {
		s.update(s.begin)
	}
	stages := []string{stageLog, stageBodies, stageIndex}
	for shard := s.at().Shard; shard < len(s.node.shards); shard++ {
		sh := s.node.shards[shard]
		for _, stage := range stages {
			p := s.at()
			if p.Shard == shard && p.Stage != stage {
				continue
			}
			var err error
			switch stage {
			case stageLog:
				err = s.scrubLog(ctx, sh)
			case stageBodies:
				err = s.scrubBodies(ctx, sh)
			case stageIndex:
				err = s.scrubIndex(ctx, sh)
			}
			if err != nil {
				return fmt.Errorf("scrub the %s of shard %d: %w", stage, shard, err)
			}
			s.next(shard, stage)
		}
	}
	s.update(func() {
		s.place.Running, s.place.Shard, s.place.Stage, s.hurry = false, 0, "", false
		s.place.LastPass = time.Now().UTC().Truncate(time.Second)
	})
	p := s.at()
	s.node.log.Info("scrub: all was read", "bytes", p.Bytes, "found", p.Found, "healed", p.Healed, "took", p.LastPass.Sub(p.Started))
	return s.save(true)
}

// next goes to the stage behind one.
func (s *scrubber) next(shard int, stage string) {
	s.update(func() {
		p := &s.place
		p.Log, p.Behind, s.step = base{}, "", control.Progress{}
		switch stage {
		case stageLog:
			p.Stage = stageBodies
		case stageBodies:
			p.Stage = stageIndex
		case stageIndex:
			p.Stage, p.Shard = stageLog, shard+1
		}
		if p.Shard == len(s.node.shards) { // the pass is about to end
			p.Shard, p.Stage = shard, stageIndex
		}
	})
	if err := s.save(true); err != nil {
		s.node.log.Warn("scrub", "error", err)
	}
}

// read notes that bytes were read and how far the stage is, and waits so that the rate is kept.
func (s *scrubber) read(ctx context.Context, limit *rate.Limiter, bytes uint64, move func(*scrubPlace), step control.Progress) error {
	hurry := false
	s.update(func() {
		s.place.Bytes += bytes
		move(&s.place)
		s.step, hurry = step, s.hurry
	})
	if err := s.save(false); err != nil {
		return err
	}
	for ; bytes > 0 && !hurry; bytes -= min(bytes, uint64(limit.Burst())) {
		if err := limit.WaitN(ctx, int(min(bytes, uint64(limit.Burst())))); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// limiter holds the configured rate.
func (s *scrubber) limiter() *rate.Limiter {
	r := s.node.opts.Config.Scrub.Rate
	if r == 0 {
		return rate.NewLimiter(rate.Inf, scrubSlice)
	}
	return rate.NewLimiter(rate.Limit(r), scrubSlice)
}

// found notes what is damaged.
func (s *scrubber) found(f control.ScrubFinding) {
	log := s.node.log.Error
	if f.Healed {
		log = s.node.log.Warn
	}
	log("scrub: damage found", "shard", f.Shard, "kind", f.Kind, "detail", f.Detail, "healed", f.Healed)
	s.update(func() {
		s.place.Found++
		if f.Healed {
			s.place.Healed++
		} else if len(s.place.Findings) < maxFindings {
			s.place.Findings = append(s.place.Findings, f)
		}
	})
}

// save writes down how far the pass is, now and then or now.
func (s *scrubber) save(now bool) error {
	s.mu.Lock()
	if !now && time.Since(s.saved) < scrubSave {
		s.mu.Unlock()
		return nil
	}
	s.saved = time.Now()
	data, err := json.Marshal(s.place)
	s.mu.Unlock()
	if err == nil {
		err = durable.WriteFile(s.path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write down how far the scrub is: %w", err)
	}
	return nil
}

// status says how far the pass is.
func (s *scrubber) status() *control.ScrubStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.place
	st := &control.ScrubStatus{
		State: "idle", Bytes: p.Bytes, LastPass: p.LastPass, Found: p.Found, Healed: p.Healed, Findings: p.Findings,
	}
	switch {
	case p.Running:
		st.State, st.Stage, st.Shard, st.Started = "running", p.Stage, p.Shard, p.Started
		st.Done, st.Total, st.Unit = s.step.Done, s.step.Total, s.step.Unit
	case s.node.opts.Config.Scrub.Rate == 0:
		st.State = "off"
	}
	if !p.LastPass.IsZero() {
		st.Age = max(time.Since(p.LastPass).Seconds(), 0)
	}
	return st
}

// alarms says what was found and is not healed.
func (s *scrubber) alarms() []string {
	var list []string
	kinds := map[string]int{}
	for _, f := range s.at().Findings {
		kinds[f.Kind]++
	}
	if bodies := kinds["body"]; bodies > 0 {
		list = append(list, fmt.Sprintf("scrub found %d damaged bodies that no other node gave (syncctl status --json names them)", bodies))
	}
	if index := len(s.at().Findings) - kinds["body"] - kinds["log"]; index > 0 {
		list = append(list, fmt.Sprintf("scrub found %d faults in the index that were not healed: syncctl verify --deep, then syncctl resync on a replica; promote another node first if this one leads", index))
	}
	return list
}

// watch tells of a pass until it has ended.
func (s *scrubber) watch(ctx context.Context, started time.Time, each func(control.ScrubFinding) error, progress func(control.Progress)) error {
	told := 0
	for {
		s.mu.Lock()
		p, step, changed, err := s.place, s.step, s.changed, s.lastErr
		s.mu.Unlock()
		ended := !p.Running || !p.Started.Equal(started)
		if p.Started.Equal(started) {
			for ; told < len(p.Findings); told++ {
				if err := each(p.Findings[told]); err != nil {
					return err
				}
			}
		}
		if ended || err != nil {
			return err
		}
		progress(control.Progress{What: fmt.Sprintf("scrub shard %d: %s", p.Shard, p.Stage), Done: step.Done, Total: step.Total, Unit: step.Unit})
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.done:
			return errors.New("the server ends")
		}
	}
}
