#!/usr/bin/env bash
# Runbooks "the disk died" and "the site burned": docs/backup.md. All there is is the archive.
. "$(dirname "$0")/lib.sh"

a_store
fill mail Lists 1 25
for i in 1 2 3; do deliver mail ann "mail $i"; done
imap mail ann 'ok(M.select("Lists")); ok(M.store("2:3", "+FLAGS", r"(\Deleted)")); ok(M.expunge()); ok(M.store("1:2", "+FLAGS", r"(\Seen $Work)"))'
ctl mail backup --now --json >"$TMP/backup"
at=$(json "$TMP/backup" "d['shards'][0]['position']")
then=$(dump mail exact)
fill mail Lists 26 30
deliver mail ann "after the snapshot"
imap mail ann 'ok(M.rename("Lists", "\"Old lists\""))'
before=$(dump mail exact)
end=$(position mail)
wait_for mail 20 "s['shards'][0]['archive']['shipped'] >= $end" >/dev/null # by itself
equal "snapshots" "$(ctl mail snapshots --json >"$TMP/snapshots" && json "$TMP/snapshots" "any(x['position'] == $at for x in d['shards'][0]['snapshots'])")" True
end_node mail KILL
rm -rf "${TMP:?}/mail"

timeout 60 "$BIN/syncctl" verify --archive "$ARCHIVE" --deep --json >"$TMP/verified" || fail "verify: $(cat "$TMP/verified")"
timeout 60 "$BIN/syncctl" recover --archive "$ARCHIVE" --data "$TMP/mail" --json >"$TMP/recovered"
equal "recovered up to" "$(json "$TMP/recovered" "d['shards'][0]['position']")" "$end"
start_node mail --archive "$ARCHIVE"
equal "mail with every UID" "$(dump mail exact)" "$before"
ctl mail verify --deep >"$TMP/checked" 2>&1 || fail "verify: $(cat "$TMP/checked")"
deliver mail ann "after the recovery"
wait_for mail 20 "s['shards'][0]['archive']['shipped'] > $end" >/dev/null # the archive goes on

# The same from a snapshot, and at a point before the end.
timeout 60 "$BIN/syncctl" recover --archive "$ARCHIVE" --data "$TMP/short" --from-snapshot --at "$end" --json >"$TMP/recovered"
equal "log begins behind a snapshot" "$(json "$TMP/recovered" "d['shards'][0]['first'] > 1")" True
start_node short
equal "mail from a snapshot" "$(dump short exact)" "$before"
timeout 60 "$BIN/syncctl" recover --archive "$ARCHIVE" --data "$TMP/past" --at "$at" --json >/dev/null
start_node past --archive "file://$TMP/archive-of-past"
equal "mail at the snapshot" "$(dump past exact)" "$then"

# A flipped byte is found, and named.
segment=$(find "$TMP/archive" -type f -size +1k | sort | tail -1)
"$PYTHON" -I - "$segment" <<'PY'
import os, sys
os.chmod(sys.argv[1], 0o600)
with open(sys.argv[1], "r+b") as f:
    f.seek(200)
    b = f.read(1)
    f.seek(200)
    f.write(bytes([b[0] ^ 1]))
PY
code=0
timeout 60 "$BIN/syncctl" verify --archive "$ARCHIVE" --json >"$TMP/damaged" 2>"$TMP/error" || code=$?
equal "exit code of verify" $code 20
equal "named" "$(json "$TMP/damaged" "d['ok'] is False and any(f.get('object', '') and '$segment'.endswith(f['object']) for f in d['listed'])")" True
