package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"angarium/internal/config"
	"angarium/notify"
	"angarium/notify/bus"
)

// notification is what tells other programs of what happens on a node.
type notification struct {
	notifier *notify.Notifier
	server   *bus.Server // nil: no NATS clients are served
}

func notifyDir(data string) string { return filepath.Join(data, "notify") }

// notifyKeys opens the keys of the consumers.
func (n *Node) notifyKeys() (*bus.Keys, error) {
	n.keysLock.Lock()
	defer n.keysLock.Unlock()
	if n.keys != nil {
		return n.keys, nil
	}
	if err := os.MkdirAll(notifyDir(n.opts.Data), 0o700); err != nil {
		return nil, fmt.Errorf("keys of consumers: %w", err)
	}
	keys, err := bus.OpenKeys(filepath.Join(notifyDir(n.opts.Data), "keys.json"))
	n.keys = keys
	return keys, err
}

// openNotification makes the feeds of all shards and their receivers.
func (n *Node) openNotification(ctx context.Context) error {
	no := &notification{}
	n.notification = no
	var sinks []notify.Sink
	stream, err := n.openStream(ctx, no)
	if err != nil {
		return err
	}
	if stream != nil {
		sinks = append(sinks, stream)
	}
	list, err := config.LoadSinks(n.opts.Config.Notify.SinksFile)
	if err != nil {
		return err
	}
	for _, s := range list {
		sink, err := n.openSink(s)
		if err != nil {
			return fmt.Errorf("receiver of events %q in %s: %w", s.Name, n.opts.Config.Notify.SinksFile, err)
		}
		sinks = append(sinks, sink)
	}
	host, err := os.Hostname()
	if err != nil {
		host = n.name
	}
	no.notifier, err = notify.New(notify.Options{Host: host, Shards: n.layout.Shards, Sinks: sinks, Logger: n.log.With("part", "notify")})
	return err
}

// openStream starts the server of NATS clients and the sink that fills its stream; nil when none is configured.
func (n *Node) openStream(ctx context.Context, no *notification) (notify.Sink, error) {
	c := n.opts.Config.Notify
	if len(c.Listen) == 0 {
		return nil, nil
	}
	keys, err := n.notifyKeys()
	if err != nil {
		return nil, err
	}
	filter, err := n.filterOf(config.Sink{
		Groups: c.Groups, ExcludeFlags: c.ExcludeFlags, ExcludeSpecialUse: c.ExcludeSpecialUse, Content: c.Content, ContentSize: c.ContentSize,
	})
	if err != nil {
		return nil, err
	}
	var tlsConfig *tls.Config
	if c.TLS {
		if tlsConfig = n.opts.TLS; tlsConfig == nil {
			return nil, errors.New("notify.tls: there is no certificate")
		}
	}
	limits := bus.Limits{MaxAge: c.MaxAge.Std(), MaxBytes: int64(c.MaxSize)}
	log := n.log.With("part", "notify")
	no.server, err = bus.StartServer(ctx, bus.ServerOptions{
		Dir: filepath.Join(notifyDir(n.opts.Data), "stream"), Keys: keys, Name: "angarium-notify-" + n.name, Listen: c.Listen[0], TLS: tlsConfig,
		Limits: limits, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	n.log.Info("listening", "service", "nats", "address", no.server.Addr())
	return bus.NewPublisher(bus.Options{
		Dir: filepath.Join(notifyDir(n.opts.Data), "jetstream"), Filter: filter, Start: notify.StartBeginning, Limits: limits,
		Connect: no.server.Connect, Logger: log,
	})
}

// openSink makes a receiver of the sinks file.
func (n *Node) openSink(s config.Sink) (notify.Sink, error) {
	if err := notify.CheckName(s.Name); err != nil {
		return nil, err
	}
	filter, err := n.filterOf(s)
	if err != nil {
		return nil, err
	}
	starts := map[string]notify.Start{"": notify.StartNow, "now": notify.StartNow, "beginning": notify.StartBeginning}
	start, ok := starts[s.Start]
	if !ok {
		return nil, fmt.Errorf(`start %q: want "now" or "beginning"`, s.Start)
	}
	target, err := targetOf(s)
	if err != nil {
		return nil, err
	}
	return notify.NewDelivery(target, notify.DeliveryOptions{
		Name: s.Name, Dir: filepath.Join(notifyDir(n.opts.Data), "sink-"+s.Name), Filter: filter, Start: start, Batch: batchOf(s),
		Patience: s.Patience.Std(), Logger: n.log.With("part", "notify", "sink", s.Name),
	})
}

// batchOf is how many events a sink hands over together. A program takes one at a time: what it has taken before one that fails does not come again.
func batchOf(s config.Sink) int {
	if s.Kind == "exec" {
		return 1
	}
	return s.Batch
}

func targetOf(s config.Sink) (notify.Target, error) {
	switch s.Kind {
	case "webhook":
		secret, err := os.ReadFile(s.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("secret_file: %w", err)
		}
		secret = bytes.TrimRight(secret, "\r\n") // the end of the file's line
		return notify.NewWebhook(notify.WebhookOptions{URL: s.URL, Secret: secret, Timeout: s.Timeout.Std(), Header: s.Header})
	case "exec":
		return notify.NewExec(notify.ExecOptions{Command: s.Command, Timeout: s.Timeout.Std()})
	case "file":
		return notify.NewFile(notify.FileOptions{Path: s.Path, MaxBytes: int64(s.MaxSize), Keep: s.Keep})
	}
	return nil, fmt.Errorf(`kind %q: want "webhook", "exec" or "file"`, s.Kind)
}

func (n *Node) filterOf(s config.Sink) (notify.Filter, error) {
	f := notify.Filter{ExcludeFlags: s.ExcludeFlags, ExcludeSpecialUse: s.ExcludeSpecialUse, ContentBytes: int(s.ContentSize)}
	var errs []error
	for _, a := range s.Accounts {
		name, err := n.canonical(a)
		f.Accounts, errs = append(f.Accounts, name), append(errs, err)
	}
	for _, g := range s.Groups {
		group, err := notify.ParseGroup(g)
		f.Groups, errs = append(f.Groups, group), append(errs, err)
	}
	for _, e := range s.Events {
		name, err := notify.ParseName(e)
		f.Events, errs = append(f.Events, name), append(errs, err)
	}
	mode, err := notify.ParseContentMode(s.Content)
	f.Content = mode
	if err := errors.Join(append(errs, err)...); err != nil {
		return f, err
	}
	return f, f.Check()
}

// Login and Logout tell of a session.
func (n *Node) Login(i notify.SessionInfo) {
	if n.notification != nil {
		n.notification.notifier.Login(i)
	}
}

// Logout is the end of what Login told of.
func (n *Node) Logout(i notify.SessionInfo) {
	if n.notification != nil {
		n.notification.notifier.Logout(i)
	}
}

// closeNotification ends the receivers, before the replicas and logs that they read are closed.
func (n *Node) closeNotification() {
	if n.notification == nil {
		return
	}
	if n.notification.notifier != nil {
		n.notification.notifier.Close()
	}
	if n.notification.server != nil {
		n.notification.server.Shutdown()
	}
}
