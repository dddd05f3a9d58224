package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"angarium/internal/config"
)

// serveOptions are the flags of serve. A listener flag replaces what the configuration says of that listener.
type serveOptions struct {
	data, config, node                 string
	imap, imaps, lmtp, http, socketmap string
	channel, join, nats, cluster       string
	archive, archiveKey                string
	routes                             []string
	replicas                           int
}

func newServeCommand() *cobra.Command {
	var opts serveOptions
	cmd := &cobra.Command{
		Use:   "serve --data DIR [flags]",
		Short: "Serve a data directory",
		Long: `Serve opens a data directory, making a new store in an empty one, and serves it until SIGTERM or SIGINT. It prints
"ready" on standard output once all listeners serve. SIGHUP reads the TLS certificate again.

Addresses are host:port or unix:PATH. Without a configuration file, naming a listener turns on the named ones only.
` + exitHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := opts.load(cmd)
			if err != nil {
				return err
			}
			return runServe(cmd.Context(), cfg, func(*server) error {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "ready")
				return err
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.data, "data", "", "data directory")
	f.StringVar(&opts.config, "config", "", "configuration file (angarium.toml)")
	f.StringVar(&opts.node, "node", "", "name of this node")
	f.StringVar(&opts.imap, "imap", "", "address for IMAP")
	f.StringVar(&opts.imaps, "imaps", "", "address for IMAP over TLS")
	f.StringVar(&opts.lmtp, "lmtp", "", "address for LMTP")
	f.StringVar(&opts.http, "http", "", "address for /livez, /readyz and /metrics")
	f.StringVar(&opts.cluster, "cluster-listen", "", "address at which the log servers of the other nodes of a cluster reach this one's")
	f.StringSliceVar(&opts.routes, "routes", nil, "those addresses of the other nodes, separated by commas")
	f.IntVar(&opts.replicas, "replicas", 0, "copies of a cluster's log")
	f.StringVar(&opts.nats, "nats", "", "address for NATS clients that read the stream of events")
	f.StringVar(&opts.channel, "channel-listen", "", "address at which other nodes join this one")
	f.StringVar(&opts.join, "join-file", "", "file with the token of syncctl channel add: this node becomes a replica of the one that made it")
	f.StringVar(&opts.archive, "archive", "", "where the log is copied to as it grows: file:///DIR or s3://BUCKET/PREFIX (docs/backup.md)")
	f.StringVar(&opts.archiveKey, "archive-key", "", "key file that the archive is encrypted with")
	f.StringVar(&opts.socketmap, "socketmap", "", "address for Postfix socketmap lookups")
	return cmd
}

// load makes the configuration out of the file and the flags.
func (o *serveOptions) load(cmd *cobra.Command) (config.Config, error) {
	cfg := config.Default()
	listeners := []struct {
		flag  string
		value string
		list  *[]string
	}{
		{"imap", o.imap, &cfg.IMAP.Listen}, {"imaps", o.imaps, &cfg.IMAP.ListenTLS}, {"lmtp", o.lmtp, &cfg.LMTP.Listen},
		{"http", o.http, &cfg.HTTP.Listen}, {"socketmap", o.socketmap, &cfg.Socketmap.Listen},
		{"channel-listen", o.channel, &cfg.Channel.Listen}, {"nats", o.nats, &cfg.Notify.Listen},
	}
	if o.config != "" {
		var err error
		if cfg, err = config.Load(o.config); err != nil {
			return cfg, usageError{err}
		}
	} else if anyChanged(cmd, "imap", "imaps", "lmtp", "http", "socketmap") {
		for _, l := range listeners {
			*l.list = nil
		}
	}
	for _, l := range listeners {
		if cmd.Flags().Changed(l.flag) {
			*l.list = nil
			if l.value != "" {
				*l.list = []string{l.value}
			}
		}
	}
	if o.data != "" {
		cfg.Server.DataDir = o.data
	}
	if o.cluster != "" {
		cfg.Cluster.Listen, cfg.Cluster.Routes = o.cluster, o.routes
	}
	if o.replicas != 0 {
		cfg.Cluster.Replicas = o.replicas
	}
	if o.join != "" {
		cfg.Channel.JoinFile = o.join
	}
	if o.archive != "" {
		cfg.Archive.URL = o.archive
	}
	if o.archiveKey != "" {
		cfg.Archive.KeyFile = o.archiveKey
	}
	if o.node != "" {
		cfg.Server.Node = o.node
	}
	return cfg, checkConfig(cfg)
}

func anyChanged(cmd *cobra.Command, flags ...string) bool {
	for _, f := range flags {
		if cmd.Flags().Changed(f) {
			return true
		}
	}
	return false
}

// checkConfig prints warnings and returns the problems as one error.
func checkConfig(cfg config.Config) error {
	var errs []error
	for _, p := range cfg.Check() {
		if p.Warning {
			fmt.Fprintln(os.Stderr, "angarium: warning:", p)
		} else {
			errs = append(errs, p)
		}
	}
	if len(errs) > 0 {
		return usageError{errors.Join(errs...)}
	}
	return nil
}

// runServe serves until ctx ends. A rebuilt replica is taken into use by closing everything and opening it again.
func runServe(ctx context.Context, cfg config.Config, ready func(*server) error) error {
	for {
		s, err := startServer(ctx, cfg)
		if err != nil {
			return err
		}
		if ready != nil {
			if err := ready(s); err != nil {
				return errors.Join(err, s.stop(false))
			}
			ready = nil
		}
		again := s.wait(ctx)
		if err := s.stop(again); err != nil || !again {
			return err
		}
	}
}
