package config_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"angarium/internal/config"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]config.Address{
		"localhost:143":       {Network: "tcp", Address: "localhost:143"},
		":993":                {Network: "tcp", Address: ":993"},
		"[2001:db8::1]:24":    {Network: "tcp", Address: "[2001:db8::1]:24"},
		"127.0.0.1:0":         {Network: "tcp", Address: "127.0.0.1:0"},
		"unix:/run/a/lmtp":    {Network: "unix", Address: "/run/a/lmtp"},
		"unix:relative:colon": {Network: "unix", Address: "relative:colon"},
	} {
		got, err := config.ParseAddress(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseAddress(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "localhost", "143", "::1:143", "a:b", "a:65536", "a:-1", "a:imap", "unix:", "unix:a\x00b", "unix:/" + strings.Repeat("x", 107), "a b:1", "imap://x:1"} {
		if got, err := config.ParseAddress(text); err == nil {
			t.Errorf("ParseAddress(%q) = %+v; want an error", text, got)
		}
	}
}

func TestAddressIsLocal(t *testing.T) {
	for text, want := range map[string]bool{
		"localhost:1": true, "127.1.2.3:1": true, "[::1]:1": true, "unix:x": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false, "mail.example.org:1": false,
	} {
		a, err := config.ParseAddress(text)
		if err != nil || a.IsLocal() != want {
			t.Errorf("%q: IsLocal = %v, %v; want %v", text, a.IsLocal(), err, want)
		}
	}
}

func socketPath(t *testing.T) config.Address {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return config.Address{Network: "unix", Address: filepath.Join(dir, "sock")}
}

func TestListenUnix(t *testing.T) {
	a, ctx := socketPath(t), context.Background()
	l, err := a.Listen(ctx, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(a.Address)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the socket has mode %v, %v; want 0640", info.Mode(), err)
	}
	if _, err := a.Listen(ctx, 0o600); !errors.Is(err, config.ErrSocketInUse) {
		t.Errorf("the second listener: %v; want ErrSocketInUse", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(a.Address); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left after Close: %v", err)
	}
}

func TestListenReplacesAStaleSocket(t *testing.T) {
	a := socketPath(t)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.Address, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := a.Listen(context.Background(), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", a.Address)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	a := socketPath(t)
	if err := os.WriteFile(a.Address, []byte("mail"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := a.Listen(context.Background(), 0o600); err == nil {
		l.Close()
		t.Error("listened on a regular file")
	}
	if data, err := os.ReadFile(a.Address); err != nil || string(data) != "mail" {
		t.Errorf("the file is now %q, %v", data, err)
	}
}

func TestListenTCP(t *testing.T) {
	a, err := config.ParseAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := a.Listen(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestParseNetworks(t *testing.T) {
	got, err := config.ParseNetworks([]string{"10.1.2.3/8", "::1", "192.0.2.1", "::ffff:192.0.2.2"})
	if err != nil || len(got) != 4 || got[0].String() != "10.0.0.0/8" || got[1].String() != "::1/128" || got[2].String() != "192.0.2.1/32" || got[3].String() != "192.0.2.2/32" {
		t.Errorf("ParseNetworks = %v, %v", got, err)
	}
	for _, s := range []string{"", "x", "10.0.0.0/33", "fe80::1%eth0", "localhost"} {
		if got, err := config.ParseNetworks([]string{s}); err == nil {
			t.Errorf("ParseNetworks(%q) = %v; want an error", s, got)
		}
	}
}
