#!/usr/bin/env bash
# Runbook "three nodes": docs/replication.md. Set up, one lost, a rolling restart, and a node with an empty disk.
. "$(dirname "$0")/lib.sh"

# start_member NODE: starts a node of the cluster in the background; await_member waits until it is ready.
declare -A ROUTE
read -r "ROUTE[a]" "ROUTE[b]" "ROUTE[c]" <<<"$(free_ports 3)"
start_member() {
  local node=$1 routes=""
  for other in a b c; do
    [ "$other" = "$node" ] || routes+="127.0.0.1:${ROUTE[$other]},"
  done
  if [ -z "${IMAP[$node]:-}" ]; then
    read -r "IMAP[$node]" "LMTP[$node]" <<<"$(free_ports 2)"
  fi
  : >"$TMP/$node.out"
  "$BIN/angarium" serve --data "$TMP/$node" --node "$node" --cluster-listen "127.0.0.1:${ROUTE[$node]}" --routes "${routes%,}" --replicas 3 \
    --imap "127.0.0.1:${IMAP[$node]}" --lmtp "127.0.0.1:${LMTP[$node]}" </dev/null >"$TMP/$node.out" 2>>"$TMP/$node.log" &
  PID[$node]=$!
}
await_member() { until_true 60 grep -q ready "$TMP/$1.out" || fail "node $1 did not start: $(tail -5 "$TMP/$1.log")"; }

# deliver_soon NODE ACCOUNT SUBJECT: as a transfer agent does: after 451 it comes again.
deliver_soon() { until_true 60 deliver "$@" || fail "no delivery at $1"; }

# all_same: until the three nodes hold the same.
all_same() {
  local want
  for _ in $(seq 300); do
    want=$(ctl a status --json | digest_of) || want=a
    if [ "$want" = "$(ctl b status --json | digest_of || echo b)" ] && [ "$want" = "$(ctl c status --json | digest_of || echo c)" ]; then
      return
    fi
    sleep 0.2
  done
  fail "the nodes do not hold the same"
}
digest_of() { "$PYTHON" -I -S -c 'import json, sys; s = json.load(sys.stdin); print(s["primary"], [(x["applied"], x["digest"]) for x in s["shards"]])'; }

# Set up: all three at once, none is ready before most of them are there.
for n in a b c; do start_member $n; done
for n in a b c; do await_member $n; done
wait_for a 60 "s['primary']" >/dev/null
printf '%s\n' "$PASSWORD" | ctl a account add ann --password-stdin >/dev/null
for n in a b c; do deliver $n ann "at $n"; done
all_same
for n in a b c; do equal "mail on $n" "$(subjects $n ann)" "at a,at b,at c"; done

# One is lost: the one that leads.
lost=$(status a "s['primary']")
for n in a b c; do [ "$n" = "$lost" ] || other=$n; done
end_node "$lost" KILL
deliver_soon "$other" ann "without one"
equal "the lead moved" "$(status "$other" "s['primary'] != '$lost'")" True
start_member "$lost" && await_member "$lost"
all_same

# Rolling restart: the next one only when all are the same again.
for n in a b c; do
  [ $n = a ] && other=b || other=a
  end_node $n TERM
  deliver $other ann "$n restarts" # at the first attempt: a write waits for the new primary
  start_member $n && await_member $n
  all_same
done

# A new disk: the node comes with nothing, under its old name, and gets all of it from the others.
end_node c KILL
rm -rf "${TMP:?}/c"
deliver_soon a ann "without c"
start_member c && await_member c
all_same
equal "mail on c" "$(subjects c ann)" "at a,at b,at c,without one,a restarts,b restarts,c restarts,without c"
ctl c verify --deep >/dev/null || fail "c is damaged"
deliver_soon c ann "at c again"
all_same
