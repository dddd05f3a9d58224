//go:build !linux

package main

import "syscall"

// dieWithParent does nothing: a process that is left behind has to be ended by hand.
func dieWithParent() *syscall.SysProcAttr { return nil }
