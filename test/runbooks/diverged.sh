#!/usr/bin/env bash
# Runbook "replica diverged": docs/replication.md. First two primaries at once, then a replica whose disk has changed a body.
. "$(dirname "$0")/lib.sh"

two_nodes
deliver east ann common
wait_follows west east

# Both lead: the channel is paused, and west is promoted although east lives.
ctl west channel pause east >/dev/null
wait_channel west paused
deliver east ann "at east"
imap east ben 'ok(M.create("Away"))'
ctl west promote --force --yes >/dev/null 2>&1 || fail "promotion"
# A pause stops the envelopes alone: east learns at once that west leads, and gives way.
wait_for east 20 "s['primary'] == 'west'" >/dev/null
deliver west ann "at west"
ctl west channel resume east >/dev/null
until_true 30 compgen -G "$TMP/east/aside/*/report.json" || fail "east has written no report: $(ctl east status)"
wait_follows east west
equal "mail on east" "$(subjects east ann)" "common,at west,at east"
imap west ben 'ok(M.select("Away", True))'
same east west

# A byte of a body on east changes.
"$PYTHON" - "$TMP/east/shard-0" <<'PY' || fail "no body was found to damage"
import os, sys
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        path = os.path.join(folder, name)
        data = open(path, "rb").read()
        at = data.find(b"at west\r\n")
        if at >= 0 and "bod" in folder:
            with open(path, "r+b") as f:
                f.seek(at)
                f.write(b"AT WEST")
            sys.exit(0)
sys.exit(1)
PY
equal "verify --deep" "$(ctl east verify --deep >"$TMP/violations" 2>&1 || echo $?)" 20
ctl east resync --yes >"$TMP/resync" 2>&1 || fail "resync: $(cat "$TMP/resync")"
until_true 30 ctl east verify --deep || fail "still damaged: $(ctl east verify --deep 2>&1)"
wait_follows east west
equal "mail on east" "$(subjects east ann)" "common,at west,at east"
same east west
