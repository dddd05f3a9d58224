// Package obs is how a node lets itself be observed: structured logs, metrics, health over HTTP, the service manager, and
// traces of protocol sessions.
//
// It imports the standard library, prometheus/client_golang and coreos/go-systemd, and nothing of ours. It keeps no global
// state: loggers and registries are values that the caller passes on.
//
// It guarantees that observing never harms the observed: a trace that can't be written is dropped and its session goes on, a
// readiness check that hangs is given up after its time, and the HTTP server has a timeout for every phase of a request.
package obs
