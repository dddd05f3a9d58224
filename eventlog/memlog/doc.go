// Package memlog is a log in memory, for tests: it keeps the contract of eventlog.Log and can be made to break it in the ways that a
// real one breaks. It imports eventlog and nothing else of ours.
package memlog
