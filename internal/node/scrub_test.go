package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"angarium/eventlog"
	"angarium/internal/config"
	"angarium/internal/control"
)

// scrub makes a pass at a node now, to its end.
func (m *member) scrub() control.ScrubStatus {
	m.t.Helper()
	st, err := m.client().Scrub(m.t.Context(), control.ScrubRequest{FullSpeed: true}, nil, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return st
}

func TestScrubFindsDamageOfTheLogAndItIsMended(t *testing.T) {
	for _, who := range []string{"primary", "replica"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			p, first := filled(t)
			m := map[string]*member{"primary": p.east, "replica": p.west}[who]
			payload := m.payload(first + 5)
			m.stop()
			m.flip(payload, false) // nobody sees it until it is read
			m.start()
			p.even()
			if st := m.scrub(); st.Found != 1 || st.Healed != 0 || len(st.Findings) != 1 || st.Findings[0].Kind != "log" {
				t.Errorf("the scrub says %+v", st)
			}
			p.healthy(m, 1)
			if st := m.scrub(); st.Found != 0 {
				t.Errorf("the scrub of the mended log says %+v", st)
			}
			if got := m.status().Healed; got != (control.Healed{Envelopes: 1}) {
				t.Errorf("healed: %+v", got)
			}
		})
	}
}

func TestScrubWritesDamagedBodiesAnew(t *testing.T) {
	t.Parallel()
	p, _ := filled(t)
	m := p.east
	segment := filepath.Join(m.dir, "shard-0", "bodies", "body-0000000001.seg")
	m.stop()
	good, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), good...)
	bad[100] ^= 1
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(segment, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	p.even()
	st := m.scrub()
	if st.Found == 0 || st.Healed != st.Found {
		t.Errorf("the scrub says %+v", st)
	}
	if got, err := os.ReadFile(segment); err != nil || string(got) != string(good) {
		t.Errorf("the segment is not as it was: %v", err)
	}
	if got := m.status(); got.Healed.Bodies != st.Healed || got.Scrub.LastPass.IsZero() || got.Scrub.State != "off" {
		t.Errorf("status: %+v, %+v", got.Healed, got.Scrub)
	}
	if st := m.scrub(); st.Found != 0 {
		t.Errorf("the next scrub says %+v", st)
	}
}

// A pass that a stop interrupts goes on where it was, and not from the beginning.
func TestScrubGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	m := newMember(t, "alone", func(c *config.Config) { c.Scrub = config.Scrub{Rate: 1, Every: config.Duration(time.Hour)} })
	m.start()
	n := m.node
	if _, err := n.AddAccount(t.Context(), "ann", "secret-password"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		appendMail(t, n, "ann", mailOf(i))
	}
	sh := n.shards[0]
	head := sh.replica.Applied()
	m.stop()
	started := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	place := scrubPlace{Running: true, Stage: stageLog, Log: baseOf(head), Started: started, Bytes: 4711}
	data, err := json.Marshal(place)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "scrub.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	m.cfg.Scrub.Rate = 1 << 30
	m.start()
	p := &pair{t: t, east: m, west: &member{t: t}}
	p.until("the pass to end", func() bool { return !m.status().Scrub.LastPass.IsZero() })
	if st := m.status().Scrub; st.Bytes < 4711 || st.State != "idle" || st.Found != 0 {
		t.Errorf("the pass began anew: %+v", st)
	}
}

// The log of a node without others is read, too; nobody mends it.
func TestScrubOfANodeAloneSaysWhatItCannotHeal(t *testing.T) {
	t.Parallel()
	m := newMember(t, "alone", nil)
	m.start()
	if _, err := m.node.AddAccount(t.Context(), "ann", "secret-password"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		appendMail(t, m.node, "ann", mailOf(i))
	}
	payload := m.payload(eventlog.Position(4))
	m.stop()
	m.flip(payload, false)
	m.start()
	if st := m.scrub(); st.Found != 1 || st.Healed != 0 {
		t.Errorf("the scrub says %+v", st)
	}
	if st := m.status(); len(st.Alarms) == 0 {
		t.Error("there is no alarm")
	}
}
