package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hosts are network namespaces on one bridge, one for each node: a machine of its own as far as the network goes. This process is on the
// bridge, too, with an address of its own: the faults between nodes do not touch the clients.
type hosts struct {
	prefix string // of the names of all that is made
	subnet string // "198.18.7."
	count  int
	netem  bool // there is netem, which delays packets; else a slow link is one of a low rate only
}

// faults are how the packets from one node to another fare, by the indexes of the nodes [from, to]. Those not named arrive.
type faults map[[2]int]fault

// fault is what happens to packets.
type fault int

const (
	faultSilent fault = iota // they are dropped
	faultReset               // they are refused where they are sent: connections break
	faultLossy               // some are dropped, and those that are not wait for each other
)

const (
	// Ports of the nodes, which have namespaces of their own.
	portIMAP, portLMTP, portChannel, portCluster = "1143", "1124", "7301", "7400"

	maxHosts = 256 // on this machine at one time

	slowRate  = "4mbit"
	slowQueue = "64"   // packets
	slowDelay = "30ms" // with netem
	slowLoss  = 2      // percent
)

// newHosts makes the namespaces. Its error says why there are none: not root, no programs ip, nft and tc, or a kernel without what they need.
func newHosts(count int) (_ *hosts, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	for _, program := range []string{"ip", "nft", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("network namespaces need iproute2 and nftables: %w", err)
		}
	}
	h := &hosts{count: count}
	if err := h.claim(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	for i := range count {
		if err := h.add(i); err != nil {
			return nil, err
		}
	}
	if err := h.probe(); err != nil {
		return nil, err
	}
	return h, h.set(nil)
}

// claim makes the bridge, with an address in a network of those reserved for measurements (RFC 2544). The bridge is named for the network: who
// makes it has the network.
func (h *hosts) claim() error {
	var err error
	for _, i := range rand.Perm(maxHosts) {
		h.prefix, h.subnet = fmt.Sprintf("chaos%d", i), fmt.Sprintf("198.18.%d.", i)
		if err = execute("ip", "link", "add", h.bridge(), "type", "bridge"); err != nil {
			continue // somebody has it
		}
		err = pipe("ip", "addr add "+h.subnet+"1/24 dev "+h.bridge()+"\nlink set "+h.bridge()+" up\n", "-batch", "-")
		if err != nil {
			err = errors.Join(err, execute("ip", "link", "del", h.bridge()))
		}
		return err
	}
	return fmt.Errorf("make a bridge for network namespaces: %w", err)
}

// add makes the namespace of a node.
func (h *hosts) add(i int) error {
	ns, veth := h.ns(i), h.prefix+"v"+strconv.Itoa(i)
	if err := execute("ip", "netns", "add", ns); err != nil {
		return err
	}
	outside := []string{
		"link add " + veth + " type veth peer name eth0 netns " + ns,
		"link set " + veth + " master " + h.bridge(),
		"link set " + veth + " up",
	}
	inside := []string{
		"addr add " + h.addr(i) + "/24 dev eth0",
		"link set eth0 gso_max_segs 1", // packets of the size they have on a wire, so that loss and rate count them
		"link set eth0 up",
		"link set lo up",
	}
	return errors.Join(pipe("ip", strings.Join(outside, "\n")+"\n", "-batch", "-"), pipe("ip", strings.Join(inside, "\n")+"\n", "-n", ns, "-batch", "-"))
}

// probe finds out whether packets pass, and whether there is netem.
func (h *hosts) probe() error {
	for i := range h.count {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(h.addr(i), portIMAP), dialTimeout)
		if err == nil {
			err = errors.Join(errors.New("somebody else is there"), c.Close())
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("reach the namespace of node %d: %w", i, err)
		}
		to := h.addr((i + 1) % h.count)
		if err := dialFrom(h.ns(i), net.JoinHostPort(to, portIMAP)); h.count > 1 && !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("reach the namespace of one node from another: %w", err)
		}
	}
	h.netem = execute("ip", "netns", "exec", h.ns(0), "tc", "qdisc", "replace", "dev", "eth0", "root", "netem", "delay", "1ms") == nil
	return nil
}

func (h *hosts) bridge() string    { return h.prefix + "b" }
func (h *hosts) ns(i int) string   { return h.prefix + "n" + strconv.Itoa(i) }
func (h *hosts) addr(i int) string { return h.subnet + strconv.Itoa(i+2) }

// String says what the nodes run in.
func (h *hosts) String() string {
	slow := slowRate
	if h.netem {
		slow += ", " + slowDelay + " of delay"
	}
	return fmt.Sprintf("%d network namespaces in %s0/24; a slow link has %s, a queue of %s packets and %d %% of loss", h.count, h.subnet, slow, slowQueue, slowLoss)
}

// set makes the network fare as given, in place of all faults before.
func (h *hosts) set(f faults) error {
	var errs []error
	for i := range h.count {
		var in, out strings.Builder
		var slow []int
		for pair, how := range f {
			switch from, to := pair[0], pair[1]; {
			case how == faultReset && from == i:
				fmt.Fprintf(&out, "ip daddr %s meta l4proto tcp reject with tcp reset\n", h.addr(to))
			case how == faultSilent && to == i:
				fmt.Fprintf(&in, "ip saddr %s drop\n", h.addr(from))
			case how == faultLossy && to == i:
				fmt.Fprintf(&in, "ip saddr %s numgen random mod 100 < %d drop\n", h.addr(from), slowLoss)
			case how == faultLossy && from == i:
				slow = append(slow, to)
			}
		}
		rules := "table inet chaos\ndelete table inet chaos\ntable inet chaos {\n" +
			"chain in { type filter hook input priority 0; policy accept;\n" + in.String() + "}\n" +
			"chain out { type filter hook output priority 0; policy accept;\n" + out.String() + "}\n}\n"
		errs = append(errs, pipe("ip", rules, "netns", "exec", h.ns(i), "nft", "-f", "-"), h.shape(i, slow))
	}
	return errors.Join(errs...)
}

// shape limits the rate from a node to some others, and to nobody else.
func (h *hosts) shape(i int, to []int) error {
	// What is not there cannot be removed; it can be replaced.
	cmds := []string{"qdisc replace dev eth0 root pfifo limit 1000"}
	for n, other := range to {
		class := fmt.Sprintf("1:%d", n+2)
		leaf := "pfifo limit " + slowQueue
		if h.netem {
			leaf = "netem delay " + slowDelay + " 10ms limit " + slowQueue
		}
		if n == 0 {
			cmds = append(cmds, "qdisc replace dev eth0 root handle 1: htb")
		}
		cmds = append(cmds,
			"class add dev eth0 parent 1: classid "+class+" htb rate "+slowRate+" burst 6k",
			"qdisc add dev eth0 parent "+class+" "+leaf,
			"filter add dev eth0 parent 1: protocol ip u32 match ip dst "+h.addr(other)+" flowid "+class)
	}
	return pipe("ip", strings.Join(cmds, "\n")+"\n", "netns", "exec", h.ns(i), "tc", "-batch", "-")
}

// close removes all that was made. The nodes must have ended.
func (h *hosts) close() {
	for i := range h.count {
		if _, err := os.Stat(filepath.Join("/run/netns", h.ns(i))); err == nil {
			_ = execute("ip", "netns", "del", h.ns(i)) // with it goes the interface
		}
	}
	_ = execute("ip", "link", "del", h.bridge())
}

// execute runs a program. Its error has what that said.
func execute(program string, args ...string) error { return pipe(program, "", args...) }

func pipe(program, input string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// hostLink is the link between two hosts.
type hostLink struct{ *hosts }

func (l hostLink) set(s linkState) error {
	const east, west = 0, 1
	to, fro := [2]int{east, west}, [2]int{west, east}
	return l.hosts.set(map[linkState]faults{
		linkUp:       {},
		linkCut:      {to: faultReset, fro: faultReset},
		linkSilent:   {to: faultSilent, fro: faultSilent},
		linkDeafEast: {fro: faultSilent},
		linkDeafWest: {to: faultSilent},
		linkSlow:     {to: faultLossy, fro: faultLossy},
	}[s])
}
