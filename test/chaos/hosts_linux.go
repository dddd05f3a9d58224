package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// dialFrom tries whether an address answers that is dialled from within a network namespace.
func dialFrom(ns, addr string) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this function, because it is in another namespace
		f, err := os.Open(filepath.Join("/run/netns", ns))
		if err == nil {
			err = errors.Join(unix.Setns(int(f.Fd()), unix.CLONE_NEWNET), f.Close())
		}
		if err != nil {
			result <- err
			return
		}
		c, err := net.DialTimeout("tcp", addr, dialTimeout)
		if err == nil {
			err = c.Close()
		}
		result <- err
	}()
	return <-result
}
