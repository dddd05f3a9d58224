//go:build !linux

package main

import "errors"

// dialFrom fails: there are no network namespaces.
func dialFrom(string, string) error { return errors.ErrUnsupported }
