#!/usr/bin/env bash
# Runbook "far site": docs/replication.md.
. "$(dirname "$0")/lib.sh"

cluster=(a b c)
read -ra ports <<<"$(free_ports 3)"

# start_cluster: its nodes, of which none is ready before most are there.
start_cluster() {
  local i node routes
  for i in 0 1 2; do
    routes="127.0.0.1:${ports[(i + 1) % 3]},127.0.0.1:${ports[(i + 2) % 3]}"
    launch_node "${cluster[i]}" --cluster-listen "127.0.0.1:${ports[i]}" --routes "$routes" --replicas 3
  done
  for node in "${cluster[@]}"; do await_node "$node"; done
}

# alarmed NODE TEXT: until a node has an alarm.
alarmed() { wait_for "$1" 60 "any('$2' in x for x in s.get('alarms', []))" >/dev/null; }

# follows_cluster: until the far node has all that is known of.
follows_cluster() {
  wait_for far 60 "s['primary'] in ('a', 'b', 'c') and not s.get('alarms') and any(
    c['direction'] == 'receive' and c['state'] == 'following' and c['lag_events'] == 0 for c in s['shards'][0].get('channels', []))" >/dev/null
}

start_cluster
wait_for a 60 "s['primary'] != ''" >/dev/null
printf '%s\n' "ann $PASSWORD" | ctl a account add --batch /dev/stdin >/dev/null
for node in "${cluster[@]}"; do
  (umask 077 && ctl "$node" channel add far >>"$TMP/far.token")
done
start_node far --join-file "$TMP/far.token"
follows_cluster

# Said to one node it holds for the cluster; a write then waits for the far node, wherever the primary is.
ctl b channel set far --ack replica >/dev/null
for node in "${cluster[@]}"; do
  until_true 20 bash -c "'$BIN/syncctl' --data '$TMP/$node' channel list --json | grep -q '\"ack\":\"replica\"'" || fail "$node does not wait for acknowledgements"
done
deliver a ann "at a"
equal "mail at the far node" "$(subjects far ann)" "at a"
deliver far ann "at far"
for node in "${cluster[@]}"; do same far "$node"; done
equal "a handover of a cluster" "$(ctl far promote --yes >/dev/null 2>&1 || echo $?)" 2
equal "a cluster's log is not fetched" "$(ctl a resync >/dev/null 2>&1 || echo $?)" 2

# The whole cluster is lost.
for node in "${cluster[@]}"; do end_node "$node" KILL; done
alarmed far "no primary can be reached"
ctl far promote --force --yes >/dev/null 2>"$TMP/plan" || fail "promotion: $(cat "$TMP/plan")"
grep -q '0 envelopes that are known to be missing' "$TMP/plan" || fail "plan: $(cat "$TMP/plan")"
wait_leads far
deliver far ann "without the cluster"
equal "mail at the far node" "$(subjects far ann)" "at a,at far,without the cluster"

# It comes back while the far node is away: it does not know better, and waits.
end_node far TERM
start_cluster
for node in "${cluster[@]}"; do alarmed "$node" "waits to meet a node that follows it"; done
start_node far
wait_leads far
for node in "${cluster[@]}"; do alarmed "$node" "node far, outside the cluster, leads"; done
if deliver a ann refused 2>"$TMP/refusal"; then fail "the cluster took a write in the place of the far node"; fi
grep -q 451 "$TMP/refusal" || fail "not a 451: $(cat "$TMP/refusal")"

# Its disks are all there: it is to lead again, and what only the far node has is carried over.
ctl a promote --force --yes >/dev/null 2>"$TMP/plan" || fail "promotion of the cluster: $(cat "$TMP/plan")"
follows_cluster
until_true 30 bash -c "ls '$TMP'/far/aside/*/report.json" || fail "nothing was carried over"
deliver a ann "to the cluster again"
for node in "${cluster[@]}" far; do
  equal "mail at $node" "$(subjects "$node" ann)" "at a,at far,without the cluster,to the cluster again"
  [ "$node" = far ] || same far "$node"
done
