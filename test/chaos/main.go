package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what a run does. The zero value of a field is not useful.
type options struct {
	Rounds  int
	Seed    uint64
	Cluster bool     // three nodes with one log, in place of two with a channel
	Modes   []string // of the rounds, in turn
	Bin     string   // directory of the programs angarium and syncctl
	Dir     string   // where the data directories and logs of the nodes go
	// Load is the longest time that clients work in one part of a round.
	Load     time.Duration
	Accounts int
	Pause    time.Duration // the longest between two commands of a client
	Stepped  string        // a server whose clock can be set; "" where no round sets it
	Net      string        // netNamespaces, netLoopback or netAuto
	Out      io.Writer
}

// What the nodes are linked by.
const (
	netNamespaces = "netns"    // network namespaces
	netLoopback   = "loopback" // the loopback interface, with a proxy between them
	netAuto       = "auto"     // the first of both that is possible
)

// newHosts makes the hosts of so many nodes. It gives none where the loopback interface is to be taken, and says why.
func (o options) newHosts(count int) (*hosts, error) {
	if o.Net == netLoopback {
		return nil, nil
	}
	h, err := newHosts(count)
	if err != nil && o.Net == netAuto {
		fmt.Fprintln(o.Out, "hosts: none, all on the loopback interface:", err)
		return nil, nil
	}
	return h, err
}

// The modes of rounds.
const (
	modeAck     = "ack"
	modeLocal   = "local"
	modePlanned = "planned"
	modeSplit   = "split"
	modeSlow    = "slow"
	modePause   = "pause"
	modeClock   = "clock"
)

func allModes() []string {
	return []string{modeAck, modeLocal, modePlanned, modeSplit, modeSlow, modePause, modeClock}
}

// setModes takes the modes as they are given, with commas between.
func (o *options) setModes(text string) error {
	all := allModes()
	if o.Cluster {
		all = teamModes()
	}
	if o.Modes = all; text == "" {
		return nil
	}
	o.Modes = strings.Split(text, ",")
	for _, m := range o.Modes {
		if !slices.Contains(all, m) {
			return fmt.Errorf("no mode %q: there are %s", m, strings.Join(all, ", "))
		}
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := command(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) (err error) {
	opts := options{Out: os.Stdout}
	flag.IntVar(&opts.Rounds, "rounds", 20, "how many rounds")
	flag.Uint64Var(&opts.Seed, "seed", 0, "what the clients do and what fails follows from it; 0 takes the time")
	flag.BoolVar(&opts.Cluster, "cluster", false, "three nodes of a cluster, in place of two with a channel")
	modes := flag.String("mode", "", "modes of the rounds, in turn; empty for all")
	flag.StringVar(&opts.Bin, "bin", "", "directory of angarium and syncctl; empty builds them")
	flag.StringVar(&opts.Dir, "dir", "", "directory to work in, which is kept; empty makes one, which is kept after a failure only")
	flag.DurationVar(&opts.Load, "load", time.Second, "longest time that clients work in one part of a round")
	flag.IntVar(&opts.Accounts, "accounts", 3, "accounts")
	flag.DurationVar(&opts.Pause, "pause", 15*time.Millisecond, "longest pause of a client between two commands")
	flag.StringVar(&opts.Net, "net", netAuto, `what the nodes are linked by: "netns", "loopback", or "auto" for the first of both that is possible`)
	flag.Parse()
	if err := opts.setModes(*modes); err != nil {
		return err
	}
	if !slices.Contains([]string{netNamespaces, netLoopback, netAuto}, opts.Net) {
		return fmt.Errorf("no network %q", opts.Net)
	}
	if opts.Rounds < 1 || opts.Accounts < 1 || opts.Load < minLoad || opts.Pause < time.Millisecond {
		return fmt.Errorf("rounds and accounts must be 1 or more, load %v and pause 1ms or more", minLoad)
	}
	if opts.Seed == 0 {
		opts.Seed = uint64(time.Now().UnixNano())
	}
	if opts.Dir == "" {
		if opts.Dir, err = os.MkdirTemp("", "chaos-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(opts.Dir)
			} else {
				fmt.Fprintln(opts.Out, "kept:", opts.Dir)
			}
		}()
	}
	if opts.Bin == "" {
		opts.Bin = filepath.Join(opts.Dir, "bin")
		if err := build(ctx, opts.Bin); err != nil {
			return err
		}
	} else if opts.Bin, err = filepath.Abs(opts.Bin); err != nil {
		return err
	}
	if slices.Contains(opts.Modes, modeClock) {
		if opts.Stepped, err = buildStepped(ctx, opts.Dir); err != nil {
			return err
		}
	}
	return errors.Join(run(ctx, opts), ctx.Err())
}
