// Package statetest generates random valid histories of events and knows, by a model of its own, what a state must look like after
// each. The model is plain Go maps and slices, written from what package event says of its events; it shares no code with package
// state, so that the two check one another.
//
// The package is for tests. It imports replica/state, eventlog/event and internal/codec.
package statetest
