package channel

import "time"

// Bounds of what a link holds and how long it waits.
const (
	// MaxCallBytes is the size of the largest request and answer of a call, and of the largest request of a stream.
	MaxCallBytes = 64 << 20
	// callBudgetBytes bounds the requests that are being received and handled at one time; further ones wait.
	callBudgetBytes = 4 * MaxCallBytes
	// maxStreams bounds the requests that one connection carries at one time; further ones wait.
	maxStreams = 1024
	// maxHeaderBytes bounds the header of a request or answer.
	maxHeaderBytes = 16 << 10
	// maxErrorBytes bounds the text of an error that crosses a link.
	maxErrorBytes = 4 << 10

	// maxFrameBytes is the largest HTTP/2 frame that is accepted.
	maxFrameBytes = 1 << 20
	// streamWindowBytes and connWindowBytes are how much a peer may send ahead of the reader of one request, and of all of them.
	streamWindowBytes = 4 << 20
	connWindowBytes   = 64 << 20

	// followWindowBytes and followWindowEnvelopes bound what was sent to a follower and not yet acknowledged; one batch may go
	// beyond them.
	followWindowBytes     = 16 << 20
	followWindowEnvelopes = 4096
	// batchTargetBytes and maxBatchEnvelopes are what a sender puts into one batch when there is more than one envelope to send.
	batchTargetBytes  = 1 << 20
	maxBatchEnvelopes = 512
	// minCompressBytes is the size below which compressing a batch is not worth it.
	minCompressBytes = 512
	// maxAppendsInFlight bounds the appends of a follower that its log has not yet answered.
	maxAppendsInFlight = 16
	// appendTimeout is how long a follower waits for its log to answer an append.
	appendTimeout = 10 * time.Second

	// maxWaiters bounds those who wait for acknowledgements at one time.
	maxWaiters = 1 << 17

	// maxSeeds bounds the checkpoints that are kept for peers at one time, maxSeedFiles the files of one.
	maxSeeds     = 4
	maxSeedFiles = 200_000
	// seedKeep is how long a checkpoint is kept after it was last read from.
	seedKeep = 30 * time.Minute
	// seedChunkBytes is the size of the buffer that files are read and written with.
	seedChunkBytes = 1 << 20

	// helloTimeout bounds a connection attempt: dialling, TLS and hello.
	helloTimeout = 10 * time.Second
	// maxHelloBytes bounds a hello and the answer to it.
	maxHelloBytes = 4 << 10
	// maxHandshakes bounds the connections that a listener has accepted and that have not proved who they are.
	maxHandshakes = 64
	// maxNameBytes bounds the name of a node, maxAddressBytes the address in a token, maxTokenBytes a whole token.
	maxNameBytes    = 128
	maxAddressBytes = 300
	maxTokenBytes   = 2 << 10
	// maxPeers bounds the links of a node.
	maxPeers = 64

	// A connection on which nothing came for pingAfter is asked for a sign of life, and closed when none comes within pingTimeout.
	// One that takes no bytes for writeTimeout is closed, too.
	pingAfter    = 2 * time.Second
	pingTimeout  = 2500 * time.Millisecond
	writeTimeout = 4500 * time.Millisecond

	// redialMin and redialMax bound the pause between attempts; a link that lasted settledAfter begins with redialMin again.
	redialMin    = 100 * time.Millisecond
	redialMax    = 2 * time.Second
	settledAfter = 2 * time.Second
	// finalPause is the pause before a follower tries again whose peer has another history, or none that reaches back.
	finalPause = 5 * time.Second

	// closeGrace is how long a hub that is being closed lets a write of a long answer wait.
	closeGrace = 500 * time.Millisecond

	// stateInterval is how long a peer's state is old at most, while the link is up.
	stateInterval = time.Second
)
