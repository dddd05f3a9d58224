package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"angarium/eventlog"
	"angarium/internal/control"
)

// site is the two nodes and the link between them.
type site struct {
	nodes   [2]*node // east, west
	link    link
	primary int // its index
	// learned is when a node that led was first seen to know that another leads, by its index.
	learned [2]time.Time
	aside   map[string]bool // directories of what was set aside that were looked at
}

// newSite starts both nodes, with accounts, and in each a mailbox that all its clients share.
func newSite(ctx context.Context, opts options, l *ledger) (_ *site, err error) {
	s := &site{aside: map[string]bool{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	h, err := opts.newHosts(2)
	if err != nil {
		return nil, err
	}
	if h != nil {
		s.link = hostLink{h}
	}
	for i, name := range []string{"east", "west"} {
		if s.nodes[i], err = newNode(opts, name, h, i); err != nil {
			return nil, err
		}
	}
	east, west := s.nodes[0], s.nodes[1]
	listen, dial, err := s.channelAddress(h)
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(opts.Out, "link:", s.link)
	east.args = append(east.args, "--channel-listen", listen)
	if err := east.start(ctx); err != nil {
		return nil, err
	}
	if err := addAccounts(ctx, east, l.accounts); err != nil {
		return nil, err
	}
	token, err := east.syncctl(ctx, "channel", "add", west.name, "--address", dial)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(opts.Dir, "west.token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return nil, err
	}
	west.args = append(west.args, "--join-file", file)
	return s, west.start(ctx)
}

// channelAddress gives the address at which east takes channels, and that which west dials. Without hosts it makes the proxy between them.
func (s *site) channelAddress(h *hosts) (listen, dial string, err error) {
	if h != nil {
		listen = net.JoinHostPort(h.addr(0), portChannel)
		return listen, listen, nil
	}
	if listen, err = freeAddress(); err != nil {
		return "", "", err
	}
	p, err := newProxy(listen)
	if err != nil {
		return "", "", err
	}
	s.link = p
	return listen, p.addr(), nil
}

func addAccounts(ctx context.Context, n *node, names []string) error {
	c, err := n.control(ctx)
	if err != nil {
		return err
	}
	var req control.AddAccounts
	for _, name := range names {
		req.Accounts = append(req.Accounts, control.NewAccount{Name: name, Password: password})
	}
	err = c.AddAccounts(ctx, req, func(r control.AccountResult) error {
		if !r.OK {
			return fmt.Errorf("add %s: %w", r.Name, r.Error)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		conn, err := dialIMAP(n.imap, name)
		if err != nil {
			return err
		}
		err = within(conn, loginTimeout, func() error { return conn.Create(shared, nil).Wait() })
		if err := errors.Join(err, closeQuietly(conn)); err != nil {
			return fmt.Errorf("make mailbox of %s: %w", name, err)
		}
	}
	return nil
}

func (s *site) close() {
	for _, n := range s.nodes {
		if n != nil {
			n.kill()
		}
	}
	if s.link != nil {
		s.link.close()
	}
}

// leader and other are the node that leads and the one that does not.
func (s *site) leader() *node { return s.nodes[s.primary] }
func (s *site) other() *node  { return s.nodes[1-s.primary] }

// alive is an error when a node ended by itself.
func (s *site) alive() error { return errors.Join(s.nodes[0].alive(), s.nodes[1].alive()) }

// setAck sets when the primary acknowledges.
func (s *site) setAck(ctx context.Context, ack string) error {
	_, err := s.leader().syncctl(ctx, "channel", "set", s.other().name, "--ack", ack)
	return err
}

// promote exchanges the roles, and says how long the command took.
func (s *site) promote(ctx context.Context, force bool) (time.Duration, error) {
	args := []string{"promote", "--yes"}
	if force {
		args = append(args, "--force")
	}
	began := time.Now()
	if _, err := s.other().syncctl(ctx, args...); err != nil {
		return 0, err
	}
	s.primary = 1 - s.primary
	if force { // it took over from the lost primary that writes wait for a replica
		if _, err := s.leader().syncctl(ctx, "channel", "set", s.other().name, "--ack", "local"); err != nil {
			return 0, err
		}
	}
	s.learned[s.primary] = time.Time{}
	return time.Since(began), nil
}

// newAside gives the directories of what was set aside since it was called last.
func (s *site) newAside() (map[string]*node, error) {
	found := map[string]*node{}
	for _, n := range s.nodes {
		list, err := filepath.Glob(filepath.Join(n.data, "aside", "*"))
		if err != nil {
			return nil, err
		}
		for _, dir := range list {
			if !s.aside[dir] {
				found[dir] = n
			}
		}
	}
	return found, nil
}

// judgeAside counts the envelopes that were set aside, and checks that none was written after its node knew that another leads.
func (s *site) judgeAside(l *ledger) error {
	dirs, err := s.newAside()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for dir, n := range dirs {
		s.aside[dir] = true
		learned := s.learned[0]
		if n == s.nodes[1] {
			learned = s.learned[1]
		}
		f, err := os.Open(filepath.Join(dir, "tail.log"))
		if err != nil {
			return err
		}
		for env, err := range eventlog.ReadAside(f) {
			if err != nil {
				return errors.Join(fmt.Errorf("read %s: %w", dir, err), f.Close())
			}
			l.counts.aside++
			for _, e := range env.Entries {
				if at := time.UnixMicro(e.Meta.Time); !learned.IsZero() && at.After(learned) {
					l.violation("node %s wrote %s at %s, and knew from %s on that another node leads", n.name, e.Event.Kind(), at.Format(timeFormat), learned.Format(timeFormat))
				}
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// salvaged says whether all that was set aside is carried over.
func (s *site) salvaged() (bool, error) {
	dirs, err := s.newAside()
	if err != nil {
		return false, err
	}
	for dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "report.json")); err != nil {
			return false, nil
		}
	}
	return true, nil
}

// logs gives the ends of the logs of both nodes.
func (s *site) logs() string {
	return strings.Join([]string{s.nodes[0].tail(), s.nodes[1].tail()}, "\n")
}
