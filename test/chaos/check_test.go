package main

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"
)

// scene is a small ledger, and a world that agrees with it: one message with UID 4 and \Seen, and UIDNEXT 5.
type scene struct {
	l    *ledger
	b    *box
	m    *message
	w    world
	seen *seenMessage
	box  *seenBox
}

const sceneKey = "<1@chaos.test>"

func newScene(t *testing.T) *scene {
	t.Helper()
	l := newLedger(1, inbox)
	at := place{l.accounts[0], inbox}
	s := &scene{l: l, b: l.boxes[at]}
	now := time.Now()
	s.m = s.b.add(sceneKey, []byte("text"), 1, `\Seen`)
	s.m.acknowledged(now)
	s.m.told(mainBranch, 4, 7, now, now)
	sum := sha256.Sum256([]byte("text"))
	s.seen = &seenMessage{uid: 4, modseq: 9, flags: []string{`\Seen`}, text: &sum}
	s.box = &seenBox{validity: 7, next: 5, modseq: 9, byKey: map[string][]*seenMessage{sceneKey: {s.seen}}}
	s.w = world{at: s.box}
	s.l.check(s.w, promotedSafe, now)
	if err := l.err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) hide() { delete(s.box.byKey, sceneKey) }

// show makes another message visible, of which the ledger knows.
func (s *scene) show(key string, uid uint32) *message {
	s.box.byKey[key] = []*seenMessage{{uid: uid}}
	s.box.next = max(s.box.next, uid+1)
	return s.b.add(key, nil, 1)
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	tests := []struct {
		name string
		how  strictness
		do   func(*scene)
		want string // in the violation
	}{
		{"message lost", atEnd, (*scene).hide, "is lost"},
		{"message lost with the primary that acknowledged it twice", promotedSafe, (*scene).hide, "is lost"},
		{"message lost in the middle", promotedLossy, (*scene).hide, "is lost, although"},
		{"message doubled", atEnd, func(s *scene) { s.box.byKey[sceneKey] = []*seenMessage{s.seen, {uid: 6}} }, "2 times"},
		{"message of nobody", atEnd, func(s *scene) { s.box.byKey["<x>"] = []*seenMessage{{uid: 3}} }, "nobody sent it"},
		{"expunged message back", atEnd, func(s *scene) { s.m.expunged(mainBranch) }, "was expunged"},
		{"message from a round that ended", atEnd, func(s *scene) { s.show("<2>", 5).fate = gone }, "was expunged, or not there"},
		{"other octets", atEnd, func(s *scene) { s.seen.text = &[32]byte{1} }, "other octets"},
		{"flag lost", atEnd, func(s *scene) { s.seen.flags = nil }, "has lost the flag"},
		{"flag of nobody", atEnd, func(s *scene) { s.seen.flags = []string{`\Seen`, "kw1"} }, "which nobody set"},
		{"UID changed", atEnd, func(s *scene) { s.seen.uid = 3 }, "had UID 4 before"},
		{"UID reused", atEnd, func(s *scene) { s.hide(); s.m.expunged(mainBranch); s.show("<2>", 4) }, "was <1@chaos.test> before"},
		{"UIDVALIDITY changed", atEnd, func(s *scene) { s.box.validity = 8 }, "UIDVALIDITY 7 became 8"},
		{"UIDNEXT went back", atEnd, func(s *scene) { s.box.next = 4 }, "UIDNEXT went back"},
		{"HIGHESTMODSEQ went back", atEnd, func(s *scene) { s.box.modseq = 8 }, "HIGHESTMODSEQ went back"},
		{"mailbox lost", atEnd, func(s *scene) { clear(s.w) }, "is not there"},
		{"UIDs out of order", atEnd, func(s *scene) {
			now := time.Now()
			late, early := s.show("<2>", 5), s.show("<3>", 6)
			early.told(mainBranch, 6, 7, now, now.Add(time.Second))
			late.told(mainBranch, 5, 7, now.Add(2*time.Second), now.Add(3*time.Second))
		}, "a higher one had been acknowledged 1s before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.do(s)
			s.l.check(s.w, tt.how, time.Now())
			if err := s.l.err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a violation with %q", err, tt.want)
			}
		})
	}
}

func TestCheckAllowsWhatMayBe(t *testing.T) {
	tests := []struct {
		name string
		how  strictness
		do   func(*scene)
		lost int
		fate fate // of the message, after it
	}{
		{"all is there", atEnd, func(*scene) {}, 0, must},
		{"not acknowledged and not there", atEnd, func(s *scene) { s.hide(); s.m.fate = maybe }, 0, gone},
		{"not acknowledged and there", atEnd, func(s *scene) { s.m.fate = maybe }, 0, must},
		{"not acknowledged, and may come with the old primary", promotedSafe, func(s *scene) { s.hide(); s.m.fate = maybe }, 0, maybe},
		{"lost for a while with the end of a history", promotedLossy, func(s *scene) { s.hide(); s.box.next = 4; s.box.modseq = 2 }, 1, must},
		{"acknowledged after the look began", promotedLossy, func(s *scene) {
			s.hide()
			s.box.next = 4
			s.m.acked = time.Now().Add(time.Hour)
		}, 0, must},
		{"expunge lost with the end of a history", promotedLossy, func(s *scene) { s.m.expunged(mainBranch) }, 0, maybe},
		{"expunge in a history that ended", atEnd, func(s *scene) { s.m.expunged(sideBranch) }, 0, must},
		{"flag of which it is not known", atEnd, func(s *scene) { s.m.flags["kw1"] = maybe }, 0, must},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.do(s)
			lost := s.l.check(s.w, tt.how, time.Now().Add(time.Minute))
			if err := s.l.err(); err != nil || lost.messages != tt.lost || s.m.fate != tt.fate {
				t.Errorf("got %v, %d lost, fate %d; want %d lost, fate %d", err, lost.messages, s.m.fate, tt.lost, tt.fate)
			}
		})
	}
}
