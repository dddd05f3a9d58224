package channel

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJoinIsRefused(t *testing.T) {
	tests := map[string]func(*Token){
		"wrong secret":      func(k *Token) { k.Secret[31] ^= 1 },
		"unknown name":      func(k *Token) { k.Peer = "nobody" },
		"wrong certificate": func(k *Token) { k.Fingerprint[0] ^= 1 },
		"another node":      func(k *Token) { k.Node = "north" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			a := newNode(t, "east", Options{})
			token, err := a.hub.Admit("west", a.address)
			if err != nil {
				t.Fatal(err)
			}
			change(&token)
			b := newNode(t, token.Peer, Options{})
			p, err := b.hub.Join(token)
			if err != nil {
				t.Fatal(err)
			}
			reason := func() error {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.lastErr
			}
			b.until(t, "refused", func() bool { return errors.Is(reason(), ErrRefused) })
			if text := reason().Error(); strings.Contains(text, string(token.Secret[:])) {
				t.Error("the error has the secret in it")
			}
			if toB, _ := a.hub.Peer("west"); toB.Connected() || p.Connected() {
				t.Error("connected")
			}
		})
	}
}

func TestJoinTakesATokenForItsNameOnly(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	token, err := a.hub.Admit("north", a.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.hub.Join(token); !errors.Is(err, ErrToken) {
		t.Errorf("join with a token for another: %v", err)
	}
	if _, err := a.hub.Admit("north", a.address); !errors.Is(err, ErrExists) {
		t.Errorf("admit twice: %v", err)
	}
	for _, bad := range []struct{ peer, address string }{{"east", a.address}, {"", a.address}, {"a b", a.address}, {"c", ":1"}, {"c", "x"}} {
		if _, err := a.hub.Admit(bad.peer, bad.address); err == nil {
			t.Errorf("admitted %q at %q", bad.peer, bad.address)
		}
	}
}

// TestNothingIsServedBeforeTheSecret sends a listener what is no hello: it must not answer with a byte of HTTP.
func TestNothingIsServedBeforeTheSecret(t *testing.T) {
	a := newNode(t, "east", Options{})
	if _, err := a.hub.Admit("west", a.address); err != nil {
		t.Fatal(err)
	}
	called := make(chan struct{}, 1)
	a.hub.Handle("x", func(context.Context, string, []byte) ([]byte, error) { called <- struct{}{}; return nil, nil })
	huge := binary.BigEndian.AppendUint32(nil, maxHelloBytes+1)
	var forged bytes.Buffer
	if err := writeMessage(&forged, hello{
		Protocol: protocolVersion, Name: "west", Secret: make([]byte, SecretBytes), Session: make([]byte, 16),
	}); err != nil {
		t.Fatal(err)
	}
	forged.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	tests := map[string]struct {
		send    []byte
		refusal bool
	}{
		"HTTP/2":        {[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), false},
		"HTTP/1":        {[]byte("POST /call/x HTTP/1.1\r\nHost: peer\r\nContent-Length: 0\r\n\r\n"), false},
		"huge hello":    {append(huge, make([]byte, 100)...), false},
		"forged secret": {forged.Bytes(), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", a.address, clientTLS(a.hub.Fingerprint()))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(testTimeout))
			if _, err := c.Write(test.send); err != nil {
				t.Fatal(err)
			}
			c.CloseWrite()
			var answer welcome
			err = readMessage(c, &answer)
			if test.refusal && (err != nil || answer.Code != codeRefused || answer.Name != "" || answer.Version != "") {
				t.Errorf("answer: %+v, %v", answer, err)
			}
			if !test.refusal && err == nil {
				t.Errorf("answered: %+v", answer)
			}
			if rest, _ := io.ReadAll(c); len(rest) > 0 {
				t.Errorf("sent %q", rest)
			}
		})
	}
	select {
	case <-called:
		t.Error("a handler was called")
	default:
	}
}

func TestListenerWantsItsProtocolInTLS(t *testing.T) {
	a := newNode(t, "east", Options{})
	for name, protos := range map[string][]string{"none": nil, "h2": {"h2"}} {
		config := clientTLS(a.hub.Fingerprint())
		config.NextProtos = protos
		c, err := tls.Dial("tcp", a.address, config)
		if err != nil {
			continue // refused in the handshake
		}
		c.SetDeadline(time.Now().Add(testTimeout))
		if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Errorf("%s: served", name)
		}
		c.Close()
	}
}

func TestStateIsTold(t *testing.T) {
	a, b := newNode(t, "east", Options{Version: "1.2"}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	b.until(t, "the first state", func() bool { s, at := toA.State(); return s.Node == "east" && !at.IsZero() })
	a.setRole("primary")
	b.until(t, "the role", func() bool {
		s, _ := toA.State()
		shard, ok := s.Shard(0)
		return ok && shard.Claim.Role == "primary"
	})
	got, _ := toA.State()
	want := NodeState{
		Node: "east", Version: "1.2", Protocol: protocolVersion,
		Shards: []ShardState{{Claim: Claim{Role: "primary", Epoch: 1, Digest: "d1"}, First: 1}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if _, ok := got.Shard(1); ok {
		t.Error("there is a shard 1")
	}
}

func TestAnnouncementsAreTimely(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	role := func() string {
		s, _ := toA.State()
		shard, _ := s.Shard(0)
		return shard.Claim.Role
	}
	b.until(t, "the first state", func() bool { return role() != "" })
	begin := time.Now()
	const changes = 50
	for i := range changes {
		want := []string{"primary", "replica"}[i%2]
		a.setRole(want)
		b.until(t, want, func() bool { return role() == want })
	}
	if took := time.Since(begin); took > changes*stateInterval/2 {
		t.Errorf("%d changes took %v: they were polled for", changes, took)
	}
}

func TestLinkComesBackAfterRestarts(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	join(t, a, b, "")
	address := a.address
	a.stop(t)
	a.start(t, address) // with the same certificate and secret
	toA, _ := b.hub.Peer("east")
	toB, _ := a.hub.Peer("west")
	connected(t, toA, toB)
	b.stop(t)
	a.until(t, "disconnected", func() bool { return !toB.Connected() })
	b.start(t, "127.0.0.1:0") // it kept the token
	toA, _ = b.hub.Peer("east")
	connected(t, toA, toB)
	if _, err := toA.Call(testContext(t), opHead, mustEncode(t, positionRequest{})); err != nil {
		t.Error(err)
	}
}

func mustEncode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := encode(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRemovedPeerIsShutOut(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	_, toA := join(t, a, b, "")
	a.hub.acks.begin("west", 0, 5)
	if err := a.hub.Remove("west"); err != nil {
		t.Fatal(err)
	}
	b.until(t, "refused", func() bool {
		toA.mu.Lock()
		defer toA.mu.Unlock()
		return errors.Is(toA.lastErr, ErrRefused)
	})
	if n := a.hub.Acks().Reached(0, 1); n != 0 {
		t.Errorf("its acknowledgement of %d still counts", n)
	}
	if err := a.hub.Remove("west"); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := toA.Call(testContext(t), opHead, nil); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLost) {
		t.Errorf("call: %v", err)
	}
	token, err := a.hub.Admit("west", a.address) // a new token takes the place of the old
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.hub.Join(token); err != nil {
		t.Fatal(err)
	}
	connected(t, toA)
}

// TestSilentPeerIsNoticed holds a link as a pulled cable does: nothing is closed, nothing passes.
func TestSilentPeerIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a peer may be silent")
	}
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	cable := newProxy(t, a.address)
	toB, toA := join(t, a, b, cable.address())
	cable.hold()
	begin := time.Now()
	for _, p := range []*Peer{toA, toB} {
		if _, err := p.await(testContext(t), func() bool { return p.session == nil }); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin); took > pingAfter+pingTimeout+2*time.Second {
		t.Errorf("it took %v", took)
	}
	cable.release()
	connected(t, toA, toB)
}

func TestSecondHubWithTheSameTokenTakesTheLinkOver(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	toB, _ := join(t, a, b, "")
	first := toB.current()
	c := newNode(t, "west", Options{}) // a copy of the node, or the node again before its death was noticed
	rec, _ := b.hub.registry.Get("east")
	token, err := ParseToken(rec.Token)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.hub.Join(token)
	if err != nil {
		t.Fatal(err)
	}
	connected(t, p)
	<-first.done // the link that was there is ended
	if !errors.Is(first.reason(), ErrUnreachable) {
		t.Errorf("reason: %v", first.reason())
	}
}

func TestSecondConnectionWithoutTheFirstIsRefused(t *testing.T) {
	a := newNode(t, "east", Options{})
	token, err := a.hub.Admit("west", a.address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", a.address, clientTLS(token.Fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	m := hello{Protocol: protocolVersion, Name: "west", Secret: token.Secret[:], Session: make([]byte, 16), Reverse: true}
	if err := writeMessage(c, m); err != nil {
		t.Fatal(err)
	}
	if err := readMessage(c, new(welcome)); err == nil {
		t.Error("welcome")
	}
}

func TestOtherProtocolVersionIsRefusedWithAReason(t *testing.T) {
	a := newNode(t, "east", Options{})
	token, err := a.hub.Admit("west", a.address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", a.address, clientTLS(token.Fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m := hello{Protocol: protocolVersion + 1, Name: "west", Secret: token.Secret[:], Session: make([]byte, 16)}
	if err := writeMessage(c, m); err != nil {
		t.Fatal(err)
	}
	var answer welcome
	if err := readMessage(c, &answer); err != nil || answer.Code != codeOldVersion {
		t.Errorf("answer: %+v, %v", answer, err)
	}
}

func TestListenerOutlastsManyWhoSayNothing(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	var idle []net.Conn
	for range maxHandshakes / 2 {
		c, err := net.Dial("tcp", a.address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	join(t, a, b, "")
	for _, c := range idle {
		c.Close()
	}
}

func TestSecretsAreKeptFromOthers(t *testing.T) {
	a, b := newNode(t, "east", Options{}), newNode(t, "west", Options{})
	join(t, a, b, "")
	rec, _ := b.hub.registry.Get("east")
	token, err := ParseToken(rec.Token)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(a.dir, identityFile), filepath.Join(a.dir, registryFile), filepath.Join(b.dir, registryFile),
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(filepath.Join(a.dir, registryFile))
	if err != nil {
		t.Fatal(err)
	}
	var kept []Record
	if err := json.Unmarshal(text, &kept); err != nil || len(kept) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	if bytes.Contains(kept[0].SecretHash, token.Secret[:]) || kept[0].Token != "" {
		t.Error("the listener keeps the secret")
	}
}

func TestTokenRoundTrip(t *testing.T) {
	want := Token{Address: "[2001:db8::1]:7443", Node: "east", Peer: "west"}
	for i := range want.Secret {
		want.Secret[i], want.Fingerprint[i] = byte(i), byte(255-i)
	}
	text := want.String()
	golden, err := os.ReadFile("testdata/token.golden")
	if err != nil {
		t.Fatal(err)
	}
	if text+"\n" != string(golden) {
		t.Errorf("token %s, tokens given out before were %s", text, golden)
	}
	got, err := ParseToken("  " + text + "\r\n")
	if err != nil || got != want {
		t.Errorf("parsed: %+v, %v", got, err)
	}
	for name, bad := range map[string]string{
		"empty": " \n", "prefix": "x" + text, "cut": text[:len(text)-3], "changed": strings.Replace(text, "A", "B", 1),
		"long": text + strings.Repeat("A", maxTokenBytes), "no base64": tokenPrefix + "***",
		"later version": strings.Replace(text, "-1.", "-2.", 1),
		"no port":       Token{Address: "host", Node: "a", Peer: "b"}.String(), "itself": Token{Address: "h:1", Node: "a", Peer: "a"}.String(),
		"no name": Token{Address: "h:1", Node: "a"}.String(), "bad name": Token{Address: "h:1", Node: "a", Peer: "b\nc"}.String(),
	} {
		if _, err := ParseToken(bad); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegistryKeepsChannels(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := r.Admit("west")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update("west", func(rec *Record) { rec.Paused, rec.Ack = true, "replica" }); err != nil {
		t.Fatal(err)
	}
	if err := r.Update("north", func(*Record) {}); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("update of none: %v", err)
	}
	again, err := OpenRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.List(), again.List()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if !again.verify("west", secret[:]) || again.verify("west", make([]byte, 32)) || again.verify("north", secret[:]) ||
		again.verify("west", nil) {
		t.Error("verify")
	}
	for i := range maxPeers - 1 {
		if _, err := again.Admit(fmt.Sprintf("n%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.Admit("one-more"); !errors.Is(err, ErrBusy) {
		t.Errorf("one more than %d: %v", maxPeers, err)
	}
	if err := os.WriteFile(filepath.Join(dir, registryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRegistry(dir); err == nil {
		t.Error("a damaged file is taken for none")
	}
}
