// Package runbooks walks through the runbooks of docs/replication.md: each is a script that starts nodes of its own, does what the runbook
// says, and checks what comes of it. It imports nothing of ours: it uses the programs as an operator does.
package runbooks
