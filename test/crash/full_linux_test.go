package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fullDiskBytes is the size of the file system that is filled; a quarter of it is to be kept free.
const fullDiskBytes = 256 << 20

// A file system that is really full refuses writes and nothing else, and takes them again without a restart once there is room.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a server")
	}
	disk := mountTmpfs(t, fullDiskBytes)
	bin := filepath.Join(t.TempDir(), "bin")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := build(ctx, bin); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[http]\nlisten = []\n[log]\nmin_free = \"%d\"\n", fullDiskBytes/4)
	if err := os.WriteFile(configPath(disk), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := start(ctx, bin, disk)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.kill() }()
	if err := s.addAccounts(ctx, []string{"anna"}); err != nil {
		t.Fatal(err)
	}
	sent := 0
	deliver := func() error {
		c, err := dialLMTP(s.lmtp)
		if err != nil {
			return err
		}
		defer c.close()
		message := fmt.Appendf(nil, "Subject: %d\r\n\r\n%s\r\n", sent, strings.Repeat("x", 20_000))
		return c.deliver([]string{"anna"}, message, func(int) { sent++ })
	}
	mustDeliver(t, deliver)
	c, err := dialIMAP(s.imap, "anna", password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.selectBox("INBOX"); err != nil {
		t.Fatal(err)
	}

	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	for range 20 {
		if err := deliver(); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), ": 45") {
			t.Fatalf("delivery to a full disk: %v, want a temporary refusal", err)
		}
		if r, err := c.cmd("STORE 1 +FLAGS (\\Seen)"); err != nil || r.status != "NO" {
			t.Fatalf("STORE on a full disk: %v, %v, want NO", r, err)
		}
		if r, err := c.cmd("FETCH 1 (FLAGS BODY.PEEK[])"); err != nil || r.err() != nil || len(r.untagged) == 0 {
			t.Fatalf("FETCH on a full disk: %v, %v", r, err)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for err := deliver(); err != nil; err = deliver() {
		if !errors.Is(err, errRefused) || time.Now().After(deadline) {
			t.Fatalf("delivery when there is room again: %v", err)
		}
	}
	if r, err := c.cmd("STORE 1 +FLAGS (\\Seen)"); err != nil || r.err() != nil {
		t.Fatalf("STORE when there is room again: %v, %v", r, err)
	}
	if st, err := s.status(ctx); err != nil || int(st.Messages) != sent {
		t.Errorf("status: %+v, %v; %d messages were acknowledged", st, err, sent)
	}
	if err := s.verify(ctx); err != nil {
		t.Error(err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := verifyOffline(ctx, bin, s.data); err != nil {
		t.Error(err)
	}
}

func mustDeliver(t *testing.T, deliver func() error) {
	t.Helper()
	if err := deliver(); err != nil {
		t.Fatal(err)
	}
}

// mountTmpfs mounts a small file system for the time of the test, if this user may.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skip("a file system can be mounted by root only")
	}
	if err != nil {
		t.Fatalf("mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill writes a file until there is no room for one more byte.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("fill the disk: %v", err)
			}
			size /= 2
		}
	}
}
