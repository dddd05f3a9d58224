// Package runbooks holds the test that walks through the runbooks of docs/backup.md, each a script with a server of its own, and the scripts.
package runbooks
