package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"

	"angarium/channel"
	"angarium/internal/config"
	"angarium/internal/control"
)

const (
	// demoWait bounds each step of the demo of two nodes.
	demoWait = 30 * time.Second
	// demoLook is the time between looks at whether a step is done.
	demoLook = 2 * time.Millisecond
)

// demoNodes are the nodes of the demo: at the first start the second joins the first.
var demoNodes = [2]string{"east", "west"}

// runDemoReplica serves two nodes in one process, of which one follows the other, shows what that means, and goes on until ctx ends.
func runDemoReplica(ctx context.Context, dir string, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	d := demoSite{dir: dir, out: out, group: group}
	if err := d.show(ctx); err != nil && ctx.Err() == nil {
		cancel()
		return errors.Join(err, group.Wait())
	}
	return group.Wait()
}

// demoSite is the two nodes of the demo.
type demoSite struct {
	dir   string
	out   io.Writer
	group *errgroup.Group
}

// show starts both nodes and shows a delivery, a promotion, and a delivery after it.
func (d demoSite) show(ctx context.Context) error {
	east, err := d.startEast(ctx)
	if err != nil {
		return err
	}
	west, err := d.startWest(ctx, east)
	if err != nil {
		return err
	}
	primary, replica, err := d.roles(ctx, east, west)
	if err != nil {
		return err
	}
	if err := demoFill(ctx, primary); err != nil {
		return err
	}
	if err := d.deliver(ctx, primary, "The road to Susa", replica); err != nil {
		return err
	}
	if err := d.promote(ctx, replica); err != nil {
		return err
	}
	if err := d.deliver(ctx, primary, "Re: The road to Susa", primary, replica); err != nil {
		return err
	}
	_, err = fmt.Fprint(d.out, demoReplicaHelp(replica, primary))
	return err
}

// startEast starts the node that the other one joins. Its address is in the join token: it stays the same.
func (d demoSite) startEast(ctx context.Context) (*server, error) {
	cfg, err := d.config(demoNodes[0])
	if err != nil {
		return nil, err
	}
	cfg.Channel.Listen = []string{"127.0.0.1:0"}
	text, err := os.ReadFile(d.tokenFile())
	if err == nil {
		token, err := channel.ParseToken(string(text))
		if err != nil {
			return nil, err
		}
		cfg.Channel.Listen[0] = token.Address
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read join token: %w", err)
	}
	return d.start(ctx, cfg)
}

func (d demoSite) startWest(ctx context.Context, east *server) (*server, error) {
	cfg, err := d.config(demoNodes[1])
	if err != nil {
		return nil, err
	}
	cfg.Channel.JoinFile = d.tokenFile()
	if _, err := os.Stat(cfg.Channel.JoinFile); errors.Is(err, fs.ErrNotExist) {
		join, err := demoClient(east).AddChannel(ctx, control.NewChannel{Name: demoNodes[1]})
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(cfg.Channel.JoinFile, []byte(join.Token+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write join token: %w", err)
		}
	}
	return d.start(ctx, cfg)
}

func (d demoSite) tokenFile() string { return filepath.Join(d.dir, demoNodes[1]+".token") }

func (d demoSite) config(node string) (config.Config, error) {
	cfg := demoConfig(filepath.Join(d.dir, node), node)
	return cfg, demoCertificate(&cfg, d.dir)
}

// start serves a node until ctx ends, and returns when it does. One that ends takes the other with it.
func (d demoSite) start(ctx context.Context, cfg config.Config) (*server, error) {
	ready := make(chan *server, 1)
	d.group.Go(func() error {
		err := runServe(ctx, cfg, func(s *server) error {
			keepPorts(cfg, s)
			ready <- s
			return nil
		})
		if err != nil {
			return fmt.Errorf("node %s: %w", cfg.Server.Node, err)
		}
		return nil
	})
	select {
	case s := <-ready:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(demoWait):
		return nil, fmt.Errorf("node %s does not start", cfg.Server.Node)
	}
}

// keepPorts puts the ports that were free into the configuration, whose lists runServe uses again when it opens the directory again.
func keepPorts(cfg config.Config, s *server) {
	for service, list := range map[string][]string{
		"imap": cfg.IMAP.Listen, "imaps": cfg.IMAP.ListenTLS, "lmtp": cfg.LMTP.Listen, "http": cfg.HTTP.Listen, "channel": cfg.Channel.Listen,
	} {
		if len(list) > 0 {
			list[0] = s.addrs[service].String()
		}
	}
}

// roles waits until one node leads and the other follows it. A demo that is started again goes on as it was left.
func (d demoSite) roles(ctx context.Context, east, west *server) (primary, replica *server, err error) {
	err = demoUntil(ctx, "one node to follow the other", func() (bool, error) {
		for _, pair := range [][2]*server{{east, west}, {west, east}} {
			lead, err := pair[0].node.Status(ctx)
			if err != nil {
				return false, err
			}
			follow, err := pair[1].node.Status(ctx)
			if err != nil {
				return false, err
			}
			if lead.Primary == lead.Node && follow.Primary == lead.Node && following(follow) {
				primary, replica = pair[0], pair[1]
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, nil, err
	}
	_, err = fmt.Fprintf(d.out, "%s is the primary, %s follows it.\n", primary.node.Name(), replica.node.Name())
	return primary, replica, err
}

// following says whether a node follows another in every shard.
func following(st control.Status) bool {
	for _, s := range st.Shards {
		ok := false
		for _, c := range s.Channels {
			ok = ok || c.Direction == "receive" && c.State == "following"
		}
		if !ok {
			return false
		}
	}
	return true
}

// deliver delivers a message at one node and waits until others show it.
func (d demoSite) deliver(ctx context.Context, at *server, subject string, seen ...*server) error {
	before := make([]uint64, len(seen))
	for i, s := range seen {
		var err error
		if before[i], err = demoCount(ctx, s); err != nil {
			return err
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.addrs["lmtp"].String())
	if err != nil {
		return fmt.Errorf("deliver demo mail: %w", err)
	}
	c := smtp.NewClientLMTP(conn)
	defer c.Close()
	m := demoMessage{
		"Mandane <mandane@pasargadae.example>", demoAccount, subject,
		"This message came in at node " + at.node.Name() + ". Both nodes have it, under the same UID.\n",
	}
	if err := demoDeliver(c, m, time.Now()); err != nil {
		return fmt.Errorf("deliver demo mail: %w", err)
	}
	begin := time.Now()
	for i, s := range seen {
		if err := demoUntil(ctx, "the message on node "+s.node.Name(), func() (bool, error) {
			n, err := demoCount(ctx, s)
			return n > before[i], err
		}); err != nil {
			return err
		}
		took := time.Since(begin).Round(time.Millisecond / 10)
		if _, err := fmt.Fprintf(d.out, "%q, delivered at %s, is on %s %s after its 250.\n", subject, at.node.Name(), s.node.Name(), took); err != nil {
			return err
		}
	}
	return c.Quit()
}

// promote makes a replica the primary with the consent of the one there is.
func (d demoSite) promote(ctx context.Context, s *server) error {
	p, err := demoClient(s).Promote(ctx, control.PromoteRequest{}, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, "Promotion: %s handed over to %s in %.0f ms; epoch %d begins.\n", p.Previous, p.Node, p.Seconds*1000, p.Shards[0].Epoch)
	return err
}

func demoClient(s *server) *control.Client { return control.NewClient(s.node.Handler()) }

// demoCount is how many messages the demo account has on a node.
func demoCount(ctx context.Context, s *server) (uint64, error) {
	a, err := demoClient(s).Account(ctx, demoAccount)
	var told *control.Error
	if errors.As(err, &told) && told.Code == control.CodeNotFound { // it is on its way to the replica
		return 0, nil
	}
	return a.Messages, err
}

// demoUntil waits until done.
func demoUntil(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	t := time.NewTicker(demoLook)
	defer t.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-t.C:
		}
	}
}

func demoReplicaHelp(primary, replica *server) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nTwo nodes serve one store, in one process. Log in at either as %s with the password %s:\n\n", demoAccount, demoPassword)
	for _, s := range []*server{primary, replica} {
		fmt.Fprintf(&b, "  %s  IMAP %s  IMAPS %s  LMTP %s  HTTP %s\n", s.node.Name(), s.addrs["imap"], s.addrs["imaps"], s.addrs["lmtp"], s.addrs["http"])
	}
	fmt.Fprintf(&b, `
Deliver at one, read at the other:
  swaks --protocol LMTP --server %[2]s --to %[1]s --from me@example.com --header 'Subject: hello'
  curl -s --user %[1]s:%[3]s 'imap://%[4]s/INBOX;MAILINDEX=*'
See both nodes, and what would be lost if the primary died now:
  bin/syncctl --data %[5]s status
Prove that they hold the same:
  bin/syncctl --data %[6]s verify --against %[7]s
Hand over again:
  bin/syncctl --data %[6]s promote

Stop with Ctrl-C.
`, demoAccount, replica.addrs["lmtp"], demoPassword, primary.addrs["imap"], primary.cfg.Server.DataDir, replica.cfg.Server.DataDir, primary.node.Name())
	return b.String()
}
