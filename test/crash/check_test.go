package main

import (
	"slices"
	"strings"
	"testing"
)

// scene is a small model, and a world that agrees with it.
type scene struct {
	m     *model
	a     *account
	inbox *box
	other *box
	msg   *message // in inbox, UID 1
	w     world
}

func newScene(t *testing.T) *scene {
	t.Helper()
	m := newModel(1, 1)
	s := &scene{m: m, a: m.accounts[0]}
	s.inbox = s.a.boxes["INBOX"]
	s.other = s.a.addBox("Other", 1)
	s.inbox.assigned(1, "<1>")
	s.msg = s.inbox.add("<1>", 1, []string{`\Seen`}, 1)
	s.w = world{s.a.name: {
		"INBOX": {ID: "i", UIDValidity: 10, UIDNext: 2, Highest: 5, messages: map[uint32]*seenMessage{}, byKey: map[string][]uint32{}},
		"Other": {ID: "o", UIDValidity: 11, UIDNext: 1, Highest: 3, messages: map[uint32]*seenMessage{}, byKey: map[string][]uint32{}},
	}}
	s.show("INBOX", 1, "<1>")
	m.check(s.w)
	if err := m.err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// show makes a message visible.
func (s *scene) show(box string, uid uint32, key string) *seenMessage {
	b := s.w[s.a.name][box]
	m := &seenMessage{uid: uid, key: key, flags: []string{`\Seen`}, modseq: 5, emailID: "e" + key}
	b.messages[uid] = m
	b.byKey[key] = append(b.byKey[key], uid)
	b.UIDNext, b.Highest = max(b.UIDNext, uid+1), max(b.Highest, m.modseq)
	return m
}

// hide takes a message out of sight.
func (s *scene) hide(box string, uid uint32) {
	b := s.w[s.a.name][box]
	key := b.messages[uid].key
	delete(b.messages, uid)
	b.byKey[key] = slices.DeleteFunc(b.byKey[key], func(u uint32) bool { return u == uid })
}

func (s *scene) seen() *seenMessage { return s.w[s.a.name]["INBOX"].messages[1] }

func TestCheckFindsWhatIsBroken(t *testing.T) {
	tests := []struct {
		name string
		do   func(*scene)
		want string // in the violation
	}{
		{"message lost", func(s *scene) { s.hide("INBOX", 1) }, "is lost"},
		{"message twice", func(s *scene) { s.show("INBOX", 2, "<1>") }, "2 times"},
		{"message with another UID", func(s *scene) { s.hide("INBOX", 1); s.show("INBOX", 2, "<1>") }, "was told to have 1"},
		{"message that nobody sent", func(s *scene) { s.show("Other", 1, "<x>") }, "should not be"},
		{"expunged message is back", func(s *scene) { (&removal{s.msg}).apply() }, "should not be"},
		{"UID used again", func(s *scene) {
			(&removal{s.msg}).apply()
			s.hide("INBOX", 1)
			s.show("INBOX", 1, "<2>")
			s.inbox.add("<2>", 0, []string{`\Seen`}, 1)
		}, "UID 1 of INBOX was this message"},
		{"UID below UIDNEXT", func(s *scene) { s.inbox.uidnext = 9; s.inbox.assigned(4, "<4>") }, "whose UIDNEXT was 9"},
		{"flag lost", func(s *scene) { s.seen().flags = nil }, "has flags [] in INBOX"},
		{"modseq changed", func(s *scene) { s.seen().modseq = 4 }, "has modseq 4"},
		{"EMAILID changed", func(s *scene) { s.seen().emailID = "x" }, "has EMAILID"},
		{"octets changed", func(s *scene) { s.seen().text = new([32]byte); s.m.bodies["<1>"] = [32]byte{1} }, "other octets"},
		{"mailbox lost", func(s *scene) { delete(s.w[s.a.name], "Other") }, "the mailbox is lost"},
		{"mailbox that nobody made", func(s *scene) { s.w[s.a.name]["New"] = s.w[s.a.name]["Other"] }, "is a mailbox"},
		{"UIDVALIDITY changed", func(s *scene) { s.w[s.a.name]["INBOX"].UIDValidity++ }, "UIDVALIDITY 10 became 11"},
		{"UIDVALIDITY again after a mailbox was made anew", func(s *scene) {
			(&deletion{s.other}).apply()
			s.a.addBox("Other", 1)
		}, "UIDVALIDITY 11 comes again"},
		{"MAILBOXID changed", func(s *scene) { s.w[s.a.name]["INBOX"].ID = "x" }, "MAILBOXID"},
		{"UIDNEXT went back", func(s *scene) { s.inbox.uidnext = 3 }, "UIDNEXT went back"},
		{"UIDNEXT is not above all UIDs", func(s *scene) { s.w[s.a.name]["INBOX"].UIDNext = 1 }, "whose UIDNEXT is 1"},
		{"HIGHESTMODSEQ went back", func(s *scene) { s.inbox.highest = 6 }, "HIGHESTMODSEQ went back"},
		{"modseq above HIGHESTMODSEQ", func(s *scene) { s.w[s.a.name]["INBOX"].Highest = 4; s.inbox.highest = 0 }, "whose HIGHESTMODSEQ is 4"},
		{"half a MOVE", func(s *scene) { s.pend(s.move()...); s.show("Other", 1, "<1>") }, "in part"},
		{"half a STORE", func(s *scene) {
			s.show("INBOX", 2, "<2>")
			second := s.inbox.add("<2>", 2, []string{`\Seen`}, 1)
			s.pend(newFlagging(s.msg, true, []string{"a"}), newFlagging(second, true, []string{"a"}))
			s.seen().flags = []string{`\Seen`, "a"}
		}, "in part"},
		{"some of the flags of a STORE", func(s *scene) {
			s.pend(newFlagging(s.msg, true, []string{"a", "b"}))
			s.seen().flags = []string{`\Seen`, "a"}
		}, "not as it was before and not as it should be after"},
		{"delivery acknowledged in part is lost", func(s *scene) {
			s.pend(&addition{box: s.inbox, key: "<2>"})
			s.m.pending[0].acked = true
		}, "acknowledged and is lost"},
		{"delivery that a client saw is lost", func(s *scene) {
			s.pend(&addition{box: s.inbox, key: "<2>"})
			s.inbox.ledger[2] = "<2>"
		}, "a client saw it"},
		{"RENAME left both names", func(s *scene) {
			s.pend(&renaming{s.other, "New"})
			s.w[s.a.name]["New"] = s.w[s.a.name]["Other"]
		}, "not as it was before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.do(s)
			s.m.check(s.w)
			if err := s.m.err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a violation with %q", err, tt.want)
			}
		})
	}
}

func TestCheckTakesOverWhatWasCutOff(t *testing.T) {
	tests := []struct {
		name string
		do   func(*scene) // pends a command and shows the outcome
		want string       // "mailbox/message" of all messages after it
	}{
		{"delivery done", func(s *scene) {
			s.pend(&addition{box: s.inbox, key: "<2>", flags: []string{`\Seen`}})
			s.show("INBOX", 2, "<2>")
		}, "INBOX/<1> INBOX/<2>"},
		{"delivery not done", func(s *scene) { s.pend(&addition{box: s.inbox, key: "<2>"}) }, "INBOX/<1>"},
		{"MOVE done", func(s *scene) { s.pend(s.move()...); s.hide("INBOX", 1); s.show("Other", 1, "<1>") }, "Other/<1>"},
		{"MOVE not done", func(s *scene) { s.pend(s.move()...) }, "INBOX/<1>"},
		{"EXPUNGE done", func(s *scene) { s.pend(&removal{s.msg}); s.hide("INBOX", 1) }, ""},
		{"STORE that changes nothing", func(s *scene) { s.pend(newFlagging(s.msg, true, []string{`\Seen`})) }, "INBOX/<1>"},
		{"STORE done", func(s *scene) {
			s.pend(newFlagging(s.msg, false, []string{`\Seen`}))
			s.seen().flags = []string{}
			s.seen().modseq = 6
			s.w[s.a.name]["INBOX"].Highest = 6
		}, "INBOX/<1>"},
		{"CREATE not done", func(s *scene) { s.pend(&creation{newBox(s.a, "New", 1)}) }, "INBOX/<1>"},
		{"DELETE done", func(s *scene) { s.pend(&deletion{s.other}); delete(s.w[s.a.name], "Other") }, "INBOX/<1>"},
		{"RENAME done", func(s *scene) {
			s.pend(&renaming{s.other, "New"})
			s.w[s.a.name]["New"] = s.w[s.a.name]["Other"]
			delete(s.w[s.a.name], "Other")
		}, "INBOX/<1>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			tt.do(s)
			for range 2 { // what was taken over has to be there from then on
				s.m.check(s.w)
				if err := s.m.err(); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for name, b := range s.a.boxes {
				for _, m := range b.live {
					got = append(got, name+"/"+m.key)
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// pend leaves a command without an answer.
func (s *scene) pend(changes ...change) {
	s.m.pending = append(s.m.pending, &op{what: "test", changes: changes})
}

func (s *scene) move() []change {
	return []change{&removal{s.msg}, &addition{box: s.other, key: "<1>", flags: s.msg.flags, owner: 1}}
}
