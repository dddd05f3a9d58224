package channel

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"time"
)

// dial keeps the link up to a peer that this node joins, until the channel is removed.
func (h *Hub) dial(p *Peer) {
	delay := backoff{}
	for p.ctx.Err() == nil {
		p.mu.Lock()
		token, changed := p.token, p.changed
		p.mu.Unlock()
		if token == nil { // what is kept cannot be read; another token may come
			select {
			case <-changed:
			case <-p.ctx.Done():
			}
			continue
		}
		s, err := h.connect(p, *token)
		if err == nil {
			select {
			case <-s.done:
			case <-p.ctx.Done(): // whoever ended it closes the session, when what goes over it has ended
				return
			}
			if time.Since(s.started) > settledAfter {
				delay.reset()
			}
		} else if p.ctx.Err() == nil {
			p.failed(err)
		}
		if !pause(p.ctx, nil, delay.next()) {
			return
		}
	}
}

// connect makes both connections of a link.
func (h *Hub) connect(p *Peer, token Token) (*session, error) {
	ctx, cancel := context.WithTimeout(p.ctx, helloTimeout)
	defer cancel()
	m := hello{
		Protocol: protocolVersion, Name: token.Peer, Secret: token.Secret[:], Session: make([]byte, len(sessionID{})),
		Version: h.opt.Version,
	}
	rand.Read(m.Session) // never fails
	first, answer, err := h.knock(ctx, token, &m)
	if err != nil {
		return nil, err
	}
	s := newSession(p, sessionID(m.Session), token.Address, answer.Version)
	ask := s.wrap(first)
	m.Reverse = true
	second, _, err := h.knock(ctx, token, &m)
	if err == nil {
		err = h.start(s, s.wrap(second), ask)
	}
	if err != nil {
		s.close(err)
		return nil, err
	}
	return s, nil
}

// knock makes one connection and says who this is.
func (h *Hub) knock(ctx context.Context, token Token, m *hello) (_ net.Conn, answer welcome, err error) {
	raw, err := h.opt.Dial(ctx, token.Address)
	if err != nil {
		return nil, welcome{}, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer func() {
		if err == nil && !stop() {
			err = fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
		}
		if err != nil {
			stop()
			raw.Close()
		}
	}()
	c := tls.Client(raw, clientTLS(token.Fingerprint))
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, welcome{}, fmt.Errorf("TLS with %s: %w", token.Address, err)
	}
	if err := writeMessage(c, m); err != nil {
		return nil, welcome{}, fmt.Errorf("%w: send hello: %w", ErrUnreachable, err)
	}
	if err := readMessage(c, &answer); err != nil {
		return nil, welcome{}, fmt.Errorf("%w: read the answer to hello: %w", ErrUnreachable, err)
	}
	switch {
	case answer.Code != "":
		return nil, welcome{}, fmt.Errorf("%w by %s: %s", ErrRefused, token.Address, cut(answer.Text))
	case answer.Protocol != protocolVersion:
		return nil, welcome{}, fmt.Errorf("%w: version %d of the protocol", ErrProtocol, answer.Protocol)
	case answer.Name != token.Node:
		return nil, welcome{}, fmt.Errorf("%w: %s is node %q, the token is for %q", ErrRefused, token.Address, cut(answer.Name), token.Node)
	}
	return c, answer, nil
}

// backoff gives growing pauses between redialMin and redialMax, with jitter so that joiners do not come all at once.
type backoff struct {
	step time.Duration
}

func (b *backoff) reset() { b.step = 0 }

func (b *backoff) next() time.Duration {
	b.step = min(max(2*b.step, redialMin), redialMax)
	return b.step/2 + mathrand.N(b.step/2+1)
}

// transient says whether an error is one of the link, or of a peer that is about to be closed, and not an answer.
func transient(err error) bool {
	var answer *RemoteError
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrLost) || errors.As(err, &answer) && answer.Code == CodeCanceled
}
