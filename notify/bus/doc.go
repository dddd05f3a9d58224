// Package bus is the NATS side of notification: the stream MAIL_NOTIFY, the server that consumers connect to, and their credentials.
//
// # A server of its own
//
// The stream does not live on the server of the log. That one syncs every append, for it is the truth; the notifications can be made again from the
// log, and syncing each would cost more than the mail does. So Server is a second nats-server in this process, which syncs every few seconds. After
// a crash of the process nothing is missing; after a power cut the sink finds that the stream ends earlier and publishes the rest again. It also
// means that no credential of a consumer, however it was made, can reach a stream of the log: there is none on this server. (A site that runs its own
// NATS gives the sink a connection to that instead.)
//
// # Exactly once
//
// Every message carries the sequence that it has to follow (Nats-Expected-Last-Sequence). So a message that is lost takes all behind it with it,
// the acknowledgement of one is that of all before it, and a second publisher is found out at once. Where the sink goes on is read from the stream: the
// ids of the last messages (Nats-Msg-Id, "shard:position:index"), never the sink's own memory alone. Its file only says from where to look, and how far
// events were passed over that the filter does not want.
//
// # Who may read what
//
// The server runs in operator mode: credentials are signed here and checked without a list. Those who may read everything are users of the NATS
// account that the stream is in. Whoever may read one mail account only is a user of a NATS account made for that mail account, in which there is nothing
// but a stream MAIL_NOTIFY with that account's events, sourced from the large one by the server. He may use any client as it comes, with any
// names for his consumers and the common inbox: there is nobody else in the room. Permissions of users in one account could not give that:
// a pull request can name another's consumer, an inbox can be listened to, and STREAM.INFO lists the subjects of all.
//
// No user may publish, nor create, change, purge or delete streams.
//
// The package imports notify and nothing else of ours.
package bus
