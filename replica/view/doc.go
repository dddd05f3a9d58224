// Package view holds the live messages of a mailbox in memory as an immutable, ordered list.
//
// A List is a value that never changes: a change makes a new one that shares all pages it did not touch. So any number of
// sessions read their own snapshot without a lock, and the difference between the snapshot a session has told its client of
// and the newest one is found by looking at the pages that are not shared (Diff): no queue of changes per session, nothing
// that can overflow.
//
// The package imports replica/state and eventlog/event only.
package view
