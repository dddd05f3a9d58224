#!/usr/bin/env bash
# Runbook "primary lost": docs/replication.md.
. "$(dirname "$0")/lib.sh"

two_nodes
ctl east channel set west --ack replica >/dev/null
ctl west channel set east --ack replica >/dev/null
deliver east ann "acknowledged 1" "acknowledged 2" "acknowledged 3" "acknowledged 4" "acknowledged 5"

end_node east KILL
wait_for west 20 "'no primary can be reached' in s.get('alarms', [])" >/dev/null
equal "reads go on" "$(subjects west ann | tr , '\n' | wc -l)" 5
if deliver west ann refused 2>"$TMP/refusal"; then fail "a write was taken without a primary"; fi
grep -q 451 "$TMP/refusal" || fail "not a 451: $(cat "$TMP/refusal")"
equal "promotion without --force" "$(ctl west promote --yes >/dev/null 2>&1 || echo $?)" 13

# The plan that is printed says how much is known to be missing.
ctl west promote --force --yes >"$TMP/promotion" 2>"$TMP/plan" || fail "promotion: $(cat "$TMP/plan")"
grep -q '0 envelopes that are known to be missing' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
wait_leads west
equal "mail on west" "$(subjects west ann)" "acknowledged 1,acknowledged 2,acknowledged 3,acknowledged 4,acknowledged 5"
ctl west channel set east --ack local >/dev/null # or each write waits for a replica that is not there
deliver west ann later
equal "mail on west" "$(subjects west ann | tr , '\n' | wc -l)" 6

# Both were down, and the old replica, now primary, is the first to come up: it waits for the other one until it is told.
end_node west KILL
start_node west
wait_for west 10 "any('waits to meet another node' in a for a in s.get('alarms', []))" >/dev/null
if deliver west ann refused 2>"$TMP/refusal"; then fail "a write was taken by a node that may not lead"; fi
ctl west promote --force --yes >/dev/null 2>&1 || fail "promotion of the one that waits"
wait_leads west
deliver west ann alone
equal "mail on west" "$(subjects west ann | tr , '\n' | wc -l)" 7
