# Shared by the scripts of this folder: nodes on free loopback ports, in a temporary directory that goes away.
# shellcheck shell=bash
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${BIN:-$HERE/../../bin} # where angarium and syncctl are
NAME=$(basename "$0" .sh)
TMP=$(mktemp -d "/tmp/angarium-$NAME.XXXXXX")
PASSWORD=secret-password
PYTHON=${PYTHON:-$(python3 -c 'import sys; print(sys.executable)')} # without what may stand before it in PATH and is slow
export PYTHON
declare -A PID IMAP LMTP CHANNEL # by node

say() { echo "$NAME: $*"; }

# fail MESSAGE: the script fails.
fail() {
  say "FAIL: $*" >&2
  exit 1
}

# equal WHAT GOT WANT
equal() { [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"; }

# until_true SECONDS COMMAND...: repeats a command until it succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

free_ports() {
  "$PYTHON" - "$1" <<'PY'
import socket, sys
socks = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in socks:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in socks])
PY
}

# start_node NODE [FLAG...]: starts a node on the ports it has had before, and waits until it is ready.
start_node() {
  launch_node "$@"
  await_node "$1"
}

# launch_node NODE [FLAG...]: starts a node.
launch_node() {
  local node=$1
  shift
  if [ -z "${IMAP[$node]:-}" ]; then
    read -r "IMAP[$node]" "LMTP[$node]" "CHANNEL[$node]" <<<"$(free_ports 3)"
  fi
  : >"$TMP/$node.out"
  "$BIN/angarium" serve --data "$TMP/$node" --node "$node" --channel-listen "127.0.0.1:${CHANNEL[$node]}" \
    --imap "127.0.0.1:${IMAP[$node]}" --lmtp "127.0.0.1:${LMTP[$node]}" "$@" \
    </dev/null >"$TMP/$node.out" 2>>"$TMP/$node.log" &
  PID[$node]=$!
}

# await_node NODE: waits until a node is ready.
await_node() {
  until_true 60 grep -q ready "$TMP/$1.out" || fail "node $1 did not start: $(tail -5 "$TMP/$1.log")"
}

# end_node NODE SIGNAL: ends a node and waits until it is gone.
end_node() {
  kill "-$2" "${PID[$1]}"
  wait "${PID[$1]}" 2>/dev/null || true
  unset "PID[$1]"
}

# ctl NODE ARG...: syncctl on a node's data directory.
ctl() {
  local node=$1
  shift
  timeout 60 "$BIN/syncctl" --data "$TMP/$node" "$@"
}

node_py() { timeout 60 "$PYTHON" -I -S "$HERE/node.py" "$@"; }

# wait_for NODE SECONDS PYTHON: waits until a Python expression of s, the node's status, is true, and prints it.
wait_for() { node_py wait "$TMP/$1" "$2" "$3" || fail "node $1"; }

# status NODE PYTHON: a Python expression of s, the node's status.
status() { wait_for "$1" 5 "str($2)"; }

wait_leads() {
  wait_for "$1" 30 "s['primary'] == s['node'] and all(x['state'] == 'serving' for x in s['shards'])" >/dev/null
}

# wait_follows NODE PRIMARY: until a node follows that primary, has all that is known of, and has no alarms.
wait_follows() {
  wait_for "$1" 30 "s['primary'] == '$2' and not s.get('alarms') and all(x['state'] == 'following' and any(
    c['name'] == '$2' and c['direction'] == 'receive' and c['state'] == 'following' and c['lag_events'] == 0
    for c in x.get('channels', [])) for x in s['shards'])" >/dev/null
}

# wait_channel NODE STATE: until the node's only channel is in a state.
wait_channel() { wait_for "$1" 10 "s['shards'][0]['channels'][0]['state'] == '$2'" >/dev/null; }

# two_nodes: east, and west that follows it, with the accounts ann and ben.
two_nodes() {
  start_node east
  printf '%s\n' "ann $PASSWORD" "ben $PASSWORD" | ctl east account add --batch /dev/stdin >/dev/null
  (umask 077 && ctl east channel add west >"$TMP/west.token")
  start_node west --join-file "$TMP/west.token"
  wait_follows west east
}

# deliver NODE ACCOUNT SUBJECT...: LMTP deliveries; it fails at the first that is not answered with 250.
deliver() { node_py deliver "${LMTP[$1]}" "${@:2}"; }

# imap NODE ACCOUNT PYTHON: runs Python code with M, an imaplib connection that has logged in, and ok, which checks an answer.
imap() { node_py imap "${IMAP[$1]}" "$2" "$PASSWORD" "$3"; }

# subjects NODE ACCOUNT: what is in INBOX, in the order of the UIDs, joined by commas.
subjects() {
  imap "$1" "$2" '
n = int(ok(M.select("INBOX", True))[0])
rows = ok(M.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")) if n else []
print(",".join(r[1].decode().split(":", 1)[1].strip() for r in rows if isinstance(r, tuple)))'
}

# same A B: both nodes hold the same, recomputed on both.
same() { ctl "$1" verify --against "$2" --deep >"$TMP/compared" 2>&1 || fail "$1 and $2 differ: $(cat "$TMP/compared")"; }

clean_up() {
  local status=$? node
  trap - EXIT
  for node in "${!PID[@]}"; do
    kill "${PID[$node]}" 2>/dev/null || true
  done
  for node in "${!PID[@]}"; do
    wait "${PID[$node]}" || { say "node $node ended with status $?"; status=1; }
  done
  if [ $status -ne 0 ]; then
    for node in "${!IMAP[@]}"; do
      echo "--- $node" >&2
      tail -20 "$TMP/$node.log" >&2
    done
  fi
  if [ -z "${KEEP:-}" ]; then rm -rf "$TMP"; else say "kept: $TMP"; fi
  if [ $status -eq 0 ]; then say PASS; else say FAIL; fi
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM
