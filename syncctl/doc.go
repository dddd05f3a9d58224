// Command syncctl is the operator's tool. It talks to the server that has the data directory open, over its control socket, or opens
// the directory itself when no server runs; the commands do not see the difference.
//
// One file holds one command: newXCommand declares it, runX does it. connect.go finds the node, exit.go decides on exit codes and on
// what an error looks like, output.go and progress.go on what people see. What --json prints is laid down in docs/json-output.md.
//
// It may import internal/control for the API, internal/node and internal/config to open a directory, and of the store's own packages
// what names errors, kinds of event and violations. It holds no logic of the store.
package main
