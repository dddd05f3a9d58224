package channel

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// Serve accepts the nodes that join this one, until the listener or the hub is closed; it then returns nil. It closes the listener.
func (h *Hub) Serve(ln net.Listener) error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return errors.Join(ErrClosed, ln.Close())
	}
	h.wg.Add(1)
	h.mu.Unlock()
	defer h.wg.Done()
	stop := context.AfterFunc(h.ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	handshakes := make(chan struct{}, maxHandshakes)
	for {
		select {
		case handshakes <- struct{}{}:
		case <-h.ctx.Done():
			return nil
		}
		c, err := ln.Accept()
		if err != nil {
			<-handshakes
			if h.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			h.log.Warn("cannot accept a channel's connection", "error", err)
			if !pause(h.ctx, nil, redialMin) { // out of file descriptors, for example
				return nil
			}
			continue
		}
		if !h.goDo(func() {
			defer func() { <-handshakes }()
			h.accept(c)
		}) {
			c.Close()
			return nil
		}
	}
}

// accept finds out who has connected, and makes the connection part of that peer's link.
func (h *Hub) accept(raw net.Conn) {
	c := tls.Server(raw, h.identity.serverTLS())
	m, err := h.greet(c)
	if err == nil {
		err = h.admit(c, m)
	}
	if err != nil {
		raw.Close()
		h.log.Warn("channel's connection refused", "address", raw.RemoteAddr().String(), "error", err)
	}
}

// greet hears what the joiner says of itself, unless the hub is closed meanwhile.
func (h *Hub) greet(c *tls.Conn) (*hello, error) {
	if err := c.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(h.ctx, func() { c.NetConn().Close() })
	defer stop()
	if err := c.HandshakeContext(h.ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if c.ConnectionState().NegotiatedProtocol != protocolName {
		return nil, fmt.Errorf("%w: it does not ask for %s", ErrProtocol, protocolName)
	}
	var m hello
	if err := readMessage(c, &m); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	return &m, nil
}

// admit makes the connection part of the link of the peer that it proves to be from.
func (h *Hub) admit(c *tls.Conn, m *hello) error {
	answer := welcome{Protocol: protocolVersion, Name: h.local.Name(), Version: h.opt.Version}
	p, err := h.recognise(m)
	if err != nil {
		e := remote(err)
		refusal := welcome{Protocol: protocolVersion, Code: e.Code, Text: e.Text}
		return errors.Join(err, writeMessage(c, refusal))
	}
	if m.Reverse {
		return h.complete(c, p, m, answer)
	}
	s := newSession(p, sessionID(m.Session), c.RemoteAddr().String(), m.Version)
	s.wrap(c)
	if err := h.keepPending(s); err != nil {
		return err
	}
	if err := writeMessage(c, answer); err != nil {
		s.close(err)
		return err
	}
	return nil
}

// recognise checks the secret. Nothing is told apart before that: neither whether the name exists nor what else is wrong.
func (h *Hub) recognise(m *hello) (*Peer, error) {
	err := m.check()
	p, known := h.Peer(m.Name)
	if ok := h.registry.verify(m.Name, m.Secret); err != nil || !ok || !known {
		return nil, Errorf(codeRefused, "name or secret is wrong")
	}
	if m.Protocol != protocolVersion {
		return nil, Errorf(codeOldVersion, "this node speaks version %d of the protocol, the joiner %d", protocolVersion, m.Protocol)
	}
	return p, nil
}

// keepPending keeps the first connection of a link until the second comes, but not for long.
func (h *Hub) keepPending(s *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if len(h.pending) >= maxPeers {
		return fmt.Errorf("half-open links: %w", ErrBusy)
	}
	if h.pending[s.id] != nil {
		return fmt.Errorf("%w: the session is open already", ErrProtocol)
	}
	h.pending[s.id] = s
	h.goLocked(func() {
		if pause(h.ctx, s.done, helloTimeout); h.takePending(s.id, s.peer) != nil {
			s.close(fmt.Errorf("%w: its second connection did not come", ErrUnreachable))
		}
	})
	return nil
}

func (h *Hub) takePending(id sessionID, p *Peer) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.pending[id]
	if s == nil || s.peer != p {
		return nil
	}
	delete(h.pending, id)
	return s
}

// complete makes a link of its two connections.
func (h *Hub) complete(c *tls.Conn, p *Peer, m *hello, answer welcome) error {
	s := h.takePending(sessionID(m.Session), p)
	if s == nil {
		return fmt.Errorf("%w: a second connection without the first", ErrProtocol)
	}
	second := s.wrap(c)
	err := writeMessage(c, answer)
	if err == nil {
		err = h.start(s, s.conns[0], second)
	}
	if err != nil {
		s.close(err)
	}
	return err
}

// start begins HTTP/2 on both connections of a session.
func (h *Hub) start(s *session, serve, ask *conn) error {
	for _, c := range []*conn{serve, ask} {
		if err := c.SetDeadline(time.Time{}); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(h.ctx, helloTimeout)
	defer cancel()
	client, err := newClient(ctx, ask)
	if err != nil {
		return err
	}
	s.client = client
	if err := s.peer.gained(s); err != nil { // before anything is served: Close says farewell to all whose calls run
		return err
	}
	return h.feed.push(serve)
}
