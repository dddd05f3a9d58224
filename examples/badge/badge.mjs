// Keeps the number of unseen messages of each INBOX, and prints {"user", "unseen"} whenever one changes.
//
//   node badge.mjs nats://HOST:PORT NAME.creds
//
// It follows the stream with an ordered consumer from the beginning: the counts are then those of the newest events, and nothing has to be stored. An event that
// was made later than its change carries the present counts ("degraded"); as this is about the present, they are as good.
import { readFileSync } from "node:fs";
import { connect, credsAuthenticator, JSONCodec } from "nats";

const [url, creds] = process.argv.slice(2);
if (!creds) {
  console.error("usage: node badge.mjs nats://HOST:PORT NAME.creds");
  process.exit(2);
}

const nc = await connect({ servers: url, authenticator: credsAuthenticator(readFileSync(creds)), maxReconnectAttempts: -1 });
const consumer = await nc.jetstream().consumers.get("MAIL_NOTIFY");
const codec = JSONCodec();
const badges = new Map();

function isInbox(uri) {
  return /^imap:\/\/[^/]*\/INBOX(;|\/;|$)/.test(uri);
}

function show(user, unseen) {
  if (badges.get(user) === unseen) {
    return;
  }
  badges.set(user, unseen);
  console.log(JSON.stringify({ user, unseen }));
}

const stop = () => nc.drain();
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

for await (const msg of await consumer.consume()) {
  const event = codec.decode(msg.data);
  if (event.event === "vnd.angarium.AccountDelete") {
    show(event.user, 0);
    badges.delete(event.user);
    continue;
  }
  if (event["vnd.cmu.unseenMessages"] !== undefined && isInbox(event.uri)) {
    show(event.user, event["vnd.cmu.unseenMessages"]);
  }
  if (event.oldMailboxUnseenMessages !== undefined && isInbox(event.oldMailboxID ?? "")) {
    show(event.user, event.oldMailboxUnseenMessages); // messages were moved out of it
  }
}
