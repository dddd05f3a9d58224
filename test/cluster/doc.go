// Package cluster tests three nodes that share one replicated log: real processes, of which one is killed and all are restarted.
package cluster
