#!/usr/bin/env bash
# Runbook "old primary back": docs/replication.md.
. "$(dirname "$0")/lib.sh"

two_nodes
deliver east ann common
wait_follows west east
uidvalidity=$(imap east ann 'ok(M.select("INBOX", True)); print(M.response("UIDVALIDITY")[1][0].decode())')

# What east acknowledges now does not reach west before east dies.
ctl west channel pause east >/dev/null
wait_channel west paused
deliver east ann "only on east 1" "only on east 2"
imap east ann 'ok(M.select("INBOX")); ok(M.store("1", "+FLAGS", r"(\Flagged)"))'
end_node east KILL
ctl west channel resume east >/dev/null
ctl west promote --force --yes >/dev/null 2>&1 || fail "promotion"
deliver west ann "after the loss"
equal "mail on west" "$(subjects west ann)" "common,after the loss"

# East comes back: it meets west, sets its tail aside, follows, and has the tail carried over.
start_node east
until_true 30 compgen -G "$TMP/east/aside/*/report.json" || fail "east has written no report: $(ctl east status)"
wait_follows east west
equal "mail on west" "$(subjects west ann)" "common,after the loss,only on east 1,only on east 2"
equal "mail on east" "$(subjects east ann)" "common,after the loss,only on east 1,only on east 2"
equal "the flag" "$(imap west ann 'ok(M.select("INBOX", True)); print(ok(M.search(None, "FLAGGED"))[0].decode())')" 1
equal "UIDVALIDITY" "$(imap east ann 'ok(M.select("INBOX", True)); print(M.response("UIDVALIDITY")[1][0].decode())')" "$uidvalidity"
same east west
applied=$("$PYTHON" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["applied"])' "$TMP"/east/aside/*/report.json)
[ "$applied" -ge 3 ] || fail "the report tells of $applied events that were applied, want 3 or more"

equal "a log that begins behind a checkpoint makes no replica" "$(ctl east rebuild >/dev/null 2>&1 || echo $?)" 2

# Once it has caught up it can take over again.
ctl east promote --yes >/dev/null 2>&1 || fail "east cannot take over"
wait_leads east
wait_follows west east
deliver west ann "as it was"
same west east
