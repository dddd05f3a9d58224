#!/usr/bin/env bash
# Runbook "set up two nodes": docs/replication.md.
. "$(dirname "$0")/lib.sh"

start_node east
printf '%s\n' "$PASSWORD" | ctl east account add ann --password-stdin >/dev/null
deliver east ann first # the replica does not begin with an empty store

(umask 077 && ctl east channel add west >"$TMP/west.token")
equal "lines of the token" "$(wc -l <"$TMP/west.token")" 1
equal "a token is given once" "$(ctl east channel add west >/dev/null 2>&1 || echo $?)" 12
start_node west --join-file "$TMP/west.token"
wait_follows west east

deliver east ann second
deliver west ann third # is forwarded to east
equal "mail on east" "$(subjects east ann)" first,second,third
equal "mail on west" "$(subjects west ann)" first,second,third
imap west ann 'ok(M.select("INBOX")); ok(M.store("1", "+FLAGS", r"(\Flagged)"))'
equal "a flag set at west is on east" "$(imap east ann 'ok(M.select("INBOX", True)); print(ok(M.search(None, "FLAGGED"))[0].decode())')" 1

ctl east channel set west --ack replica >/dev/null
ctl west channel set east --ack replica >/dev/null # for when it is the primary
equal "acks" "$(status east "s['shards'][0]['channels'][0]['ack']")" replica
deliver east ann fourth
same west east
same east west

# The token is needed for the first start only; the node remembers.
end_node west TERM
rm "$TMP/west.token"
start_node west
wait_follows west east
deliver west ann fifth
equal "mail on west after a restart" "$(subjects west ann)" first,second,third,fourth,fifth
