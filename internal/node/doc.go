// Package node puts a node together from its parts: the log of each shard, the replica that follows it, the writer of the shards it
// leads, and the mail store over them. It owns the data directory:
//
//	LOCK             held by the process that has the directory open
//	layout.json      what was fixed when the directory was made: format, shards
//	secret           random bytes of this site, for the salts shown for unknown accounts
//	log/             store of the embedded NATS server
//	shard-N/         replica of shard N: index and bodies
//	control.sock     the control socket (package control)
//
// It also serves the control API over what it put together, for a running server and for a tool that opened the directory itself.
package node
