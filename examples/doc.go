// Package examples holds consumers of events in three languages, each a program that one could begin with, and the tests that run them against a
// server of events:
//
//	push/    Go, NATS: tells a push gateway of new mail
//	badge/   Node, NATS's own client and nothing of ours: keeps the number of unseen messages of each INBOX
//	audit/   Python, webhook: writes an audit trail whose lines are chained by hashes
//
// The consumers know docs/events.md and import nothing of ours. test.sh runs the tests.
package examples
