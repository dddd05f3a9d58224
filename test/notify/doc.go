// Package notify holds the tests of notification from end to end: a real server, its consumers by the ecosystem's own client, syncctl, and the sinks
// of a sinks file, with the server killed in the middle.
//
// $BIN names a directory with angarium and syncctl; without it they are built. The package has nothing to import.
package notify
