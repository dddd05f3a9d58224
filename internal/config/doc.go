// Package config reads angarium.toml, checks it, and turns its listener addresses and certificates into what the servers need.
//
// Default is the configuration of an empty file; Load reads a file over it and refuses keys that it does not know; Check looks
// for settings that contradict each other; WriteTOML prints a file that Load reads back to the same value. Every option is
// documented in the struct tag "doc" of its field, from which the commented file is printed.
//
// The package imports the standard library and BurntSushi/toml, and nothing of ours. It decides nothing about what the settings
// do. It guarantees that no input panics, that the errors of Load name file, line and key, and that a certificate reload
// that fails leaves the certificates in use as they are.
package config
