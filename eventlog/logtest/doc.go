// Package logtest is the conformance suite that every eventlog.Log has to pass, and what tests of logs need besides. It imports eventlog and
// eventlog/event and nothing else of ours. It is for tests only.
package logtest
