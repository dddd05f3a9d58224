package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxSocketPath = 107 // sun_path less the final NUL (unix(7))
	// probeTimeout bounds the wait for an answer from a socket file that may be stale.
	probeTimeout = time.Second
)

// ErrSocketInUse is wrapped when another process answers on the unix socket to be listened on.
var ErrSocketInUse = errors.New("another process is listening on the socket")

// Address is where to listen.
type Address struct {
	Network string // "tcp" or "unix"
	Address string // "host:port", "[v6]:port" or ":port" for tcp, a path for unix
}

// ParseAddress reads "host:port", "[v6]:port", ":port" (all addresses of the machine) or "unix:PATH". Ports are numbers; 0
// lets the system choose.
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		switch {
		case path == "" || strings.ContainsRune(path, 0):
			return Address{}, fmt.Errorf("address %q: want unix:PATH", s)
		case len(path) > maxSocketPath:
			return Address{}, fmt.Errorf("address %q: the path is longer than %d bytes", s, maxSocketPath)
		}
		return Address{Network: "unix", Address: path}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: want host:port, [v6]:port, :port or unix:PATH", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Address{}, fmt.Errorf("address %q: the port is not a number from 0 to 65535", s)
	}
	if strings.ContainsAny(host, " \t\x00/@") {
		return Address{}, fmt.Errorf("address %q: malformed host", s)
	}
	return Address{Network: "tcp", Address: net.JoinHostPort(host, port)}, nil
}

// String is the form that ParseAddress reads.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

// IsLocal reports whether only this machine can connect: a unix socket or a loopback address.
func (a Address) IsLocal() bool {
	if a.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(a.Address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Listen begins to listen. The mode is given to a unix socket and not used for tcp. A socket file left behind by a process
// that has ended is replaced; if somebody answers on it the error wraps ErrSocketInUse, and anything else at the path is left
// alone. The socket is removed when the listener is closed.
func (a Address) Listen(ctx context.Context, mode fs.FileMode) (net.Listener, error) {
	if a.Network == "unix" {
		if err := removeStaleSocket(ctx, a.Address); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a, err)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, a.Network, a.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	if a.Network == "unix" {
		// Until here the umask decides, which as a rule lets nobody else write, so that nobody comes in too early.
		if err := os.Chmod(a.Address, mode); err != nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: %w", a, err), l.Close())
		}
	}
	return l, nil
}

// removeStaleSocket removes a socket that refuses connections.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}
	dialer := net.Dialer{Timeout: probeTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%w: %s", ErrSocketInUse, path), conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	default:
		return fmt.Errorf("is %s in use: %w", path, err)
	}
}

// ParseSocketMode reads the permissions of a unix socket, "0660".
func ParseSocketMode(s string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(s, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("mode %q: want permissions in octal, such as \"0660\"", s)
	}
	return fs.FileMode(mode), nil
}

// ParseNetworks reads networks in CIDR form and single addresses.
func ParseNetworks(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			networks = append(networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("network %q: want an address or a network such as 192.0.2.0/24", s)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}
