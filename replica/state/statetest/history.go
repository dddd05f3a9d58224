package statetest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"

	"angarium/eventlog/event"
	"angarium/internal/codec"
	"angarium/replica/state"
)

// Rand makes the choices of a history. *rand.Rand is one, and Drawn.
type Rand interface {
	IntN(n int) int
}

// Drawn is a Rand that rapid can shrink.
type Drawn struct{ T *rapid.T }

// IntN implements Rand.
func (d Drawn) IntN(n int) int { return rapid.IntRange(0, n-1).Draw(d.T, "choice") }

// Seeded gives a Rand for a seed.
func Seeded(seed uint64) Rand { return rand.New(rand.NewPCG(seed, 0x5eed)) }

// History is a growing valid history, with the model and the reference state after its last event.
type History struct {
	Model   *Model
	State   *state.Memory
	Changes []state.Change // of the last event
	// Weights changes how often kinds come, from 1; a kind that is not in it has its own weight.
	Weights map[event.Kind]int
	// BodyBytes bounds the size of a body as received.
	BodyBytes int

	rnd     Rand
	codec   *codec.Codec
	count   int64
	pending map[event.GUID][]*event.BodyChunk // chunks of begun uploads that are still to come
	raws    map[event.GUID][]byte
}

// New begins a history; its first event starts an epoch.
func New(rnd Rand) *History {
	c, err := codec.New()
	if err != nil {
		panic(err) // constant options
	}
	return &History{
		Model: NewModel(), State: state.NewMemory(), BodyBytes: 600, rnd: rnd, codec: c,
		pending: map[event.GUID][]*event.BodyChunk{}, raws: map[event.GUID][]byte{},
	}
}

// Raw gives the bytes of a body as received.
func (h *History) Raw(guid event.GUID) []byte { return h.raws[guid] }

// Next generates an event that fits and applies it to model and state. The error is that of the state, which should have none.
func (h *History) Next() (event.Entry, error) {
	ev := h.choose()
	entry := h.entry(ev)
	if err := event.Validate(ev); err != nil {
		return entry, fmt.Errorf("generated an event of wrong shape: %s %+v: %w", ev.Kind(), ev, err)
	}
	return entry, h.Apply(entry)
}

// Apply applies an event that fits to model and state.
func (h *History) Apply(entry event.Entry) error {
	changes, err := state.Apply(h.State, entry)
	if err != nil {
		return fmt.Errorf("%+v: %w", entry.Event, err)
	}
	h.Model.Apply(entry)
	h.Changes = changes
	return nil
}

func (h *History) entry(ev event.Event) event.Entry {
	h.count++
	return event.Entry{
		Meta:  event.Meta{Time: 1709208000000000 + h.count*1000, Actor: ev.AccountName(), Service: "test", Session: "s1"},
		Event: ev,
	}
}

// kinds is how often each kind is tried, out of their sum.
var kinds = map[event.Kind]int{
	event.KindEpochStarted: 1, event.KindCheckpoint: 3, event.KindBodiesDropped: 2,
	event.KindAccountCreated: 3, event.KindCredentialSet: 1, event.KindAccountDisabled: 1, event.KindAccountDeleted: 1, event.KindNumbersSkipped: 1,
	event.KindMailboxCreated: 8, event.KindMailboxRenamed: 4, event.KindMailboxDeleted: 2, event.KindSubscriptionSet: 4,
	event.KindSpecialUseSet: 2, event.KindRecentTaken: 3,
	event.KindBodyChunk: 14, event.KindMessagesAppended: 22, event.KindMessagesCopied: 8, event.KindMessagesMoved: 8,
	event.KindFlagsChanged: 20, event.KindMessagesExpunged: 8,
}

// choose tries kinds until one is possible.
func (h *History) choose() event.Event {
	if h.Model.Epoch == 0 {
		return &event.EpochStarted{Epoch: 1, Node: "node-0"}
	}
	weight := func(k event.Kind) int {
		if w, ok := h.Weights[k]; ok {
			return w
		}
		return kinds[k]
	}
	sum := 0
	for _, k := range event.Kinds() {
		sum += weight(k)
	}
	for range 50 {
		n := h.rnd.IntN(sum)
		for _, k := range event.Kinds() {
			if n -= weight(k); n < 0 {
				if ev := h.make(k); ev != nil {
					return ev
				}
				break
			}
		}
	}
	if ev := h.accountCreated(); ev != nil {
		return ev
	}
	return h.bodyChunk()
}

// make makes an event of a kind, nil when none fits.
func (h *History) make(k event.Kind) event.Event {
	make, ok := map[event.Kind]func() event.Event{
		event.KindEpochStarted: func() event.Event {
			return &event.EpochStarted{Epoch: h.Model.Epoch + 1, Node: fmt.Sprintf("node-%d", h.rnd.IntN(3))}
		},
		event.KindCheckpoint:       h.checkpoint,
		event.KindBodiesDropped:    h.bodiesDropped,
		event.KindAccountCreated:   h.accountCreated,
		event.KindCredentialSet:    h.credentialSet,
		event.KindAccountDisabled:  h.accountDisabled,
		event.KindAccountDeleted:   h.accountDeleted,
		event.KindNumbersSkipped:   h.numbersSkipped,
		event.KindMailboxCreated:   h.mailboxCreated,
		event.KindMailboxRenamed:   h.mailboxRenamed,
		event.KindMailboxDeleted:   h.mailboxDeleted,
		event.KindSubscriptionSet:  h.subscriptionSet,
		event.KindSpecialUseSet:    h.specialUseSet,
		event.KindRecentTaken:      h.recentTaken,
		event.KindBodyChunk:        h.bodyChunk,
		event.KindMessagesAppended: h.messagesAppended,
		event.KindMessagesCopied:   h.messagesCopied,
		event.KindMessagesMoved:    h.messagesMoved,
		event.KindFlagsChanged:     h.flagsChanged,
		event.KindMessagesExpunged: h.messagesExpunged,
	}[k]
	if !ok {
		return nil
	}
	return make()
}

func (h *History) checkpoint() event.Event {
	t, err := state.GetTotals(h.State)
	if err != nil {
		panic(err) // rows in memory
	}
	s := h.Model.shown()
	return &event.Checkpoint{Mailboxes: s.Mailboxes, Messages: s.Messages, Digest: t.Digest}
}

func (h *History) credential() event.Credential {
	sum := sha256.Sum256([]byte{byte(h.rnd.IntN(256))})
	return event.Credential{Iterations: 4096, Salt: sum[:4], StoredKey: sum[:], ServerKey: sum[:]}
}

var accountNames = []string{"ann", "bob", "cid", "dörte@example.org"}

func (h *History) accountCreated() event.Event {
	for _, name := range accountNames {
		if a := h.Model.Accounts[name]; a == nil || a.Deleted {
			return &event.AccountCreated{Account: name, Credential: h.credential()}
		}
	}
	return nil
}

// account picks an account that is there, nil when there is none.
func (h *History) account() *Account {
	var list []*Account
	for _, name := range slices.Sorted(maps.Keys(h.Model.Accounts)) {
		if a := h.Model.Accounts[name]; !a.Deleted {
			list = append(list, a)
		}
	}
	return pick(h.rnd, list)
}

// pick picks an element, the zero value of an empty list.
func pick[T any](rnd Rand, list []T) (none T) {
	if len(list) == 0 {
		return none
	}
	return list[rnd.IntN(len(list))]
}

func (h *History) credentialSet() event.Event {
	if a := h.account(); a != nil {
		return &event.CredentialSet{Account: a.Name, Credential: h.credential()}
	}
	return nil
}

func (h *History) accountDisabled() event.Event {
	if a := h.account(); a != nil {
		return &event.AccountDisabled{Account: a.Name, Disabled: !a.Disabled}
	}
	return nil
}

func (h *History) accountDeleted() event.Event {
	if a := h.account(); a != nil {
		return &event.AccountDeleted{Account: a.Name}
	}
	return nil
}
