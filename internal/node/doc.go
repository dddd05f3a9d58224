// Package node puts a node together from its parts: the log of each shard, the replica that follows it, the writer of the shards it
// leads, and the mail store over them. It owns the data directory:
//
//	LOCK             held by the process that has the directory open
//	layout.json      what was fixed when the directory was made: format, shards; behind what the logs begin; what was fetched or set aside
//	role.json        this node's part among nodes that are joined by channels
//	secret           random bytes of this site, for the salts shown for unknown accounts
//	log/             store of the embedded NATS server
//	shard-N/         replica of shard N: index and bodies
//	shard-N.fetch/   a replica on its way here from another node
//	aside/           what an old primary had alone: its envelopes, and the report of what became of them
//	channel/, seeds/ the links to other nodes; checkpoints for them
//	notify/          keys of consumers, the stream of events, positions of receivers
//	control.sock     the control socket (package control)
//
// It also serves the control API over what it put together, for a running server and for a tool that opened the directory itself.
package node
