#!/usr/bin/env bash
# Runbook "disk replaced": docs/replication.md. First the replica's disk, then the primary's.
. "$(dirname "$0")/lib.sh"

two_nodes
deliver east ann "mail 1" "mail 2" "mail 3"

end_node west KILL
rm -rf "${TMP:?}/west"
deliver east ann "meanwhile"
ctl east channel remove west --yes >/dev/null
(umask 077 && ctl east channel add west >"$TMP/west.token")
start_node west --join-file "$TMP/west.token"
wait_follows west east
equal "mail on west" "$(subjects west ann)" "mail 1,mail 2,mail 3,meanwhile"
same west east

# The primary's disk fails: the other takes over, and east joins it as a new node.
end_node east KILL
rm -rf "${TMP:?}/east"
ctl west promote --force --yes >/dev/null 2>&1 || fail "promotion"
deliver west ann "at west"
ctl west channel remove east --yes >/dev/null
(umask 077 && ctl west channel add east >"$TMP/east.token")
start_node east --join-file "$TMP/east.token"
wait_follows east west
deliver east ann "at east"
equal "mail on east" "$(subjects east ann)" "mail 1,mail 2,mail 3,meanwhile,at west,at east"
same east west
ctl east promote --yes >/dev/null 2>&1 || fail "east cannot take over"
wait_leads east
wait_follows west east
same west east
