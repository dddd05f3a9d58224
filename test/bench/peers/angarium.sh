#!/usr/bin/env bash
# Angarium on loopback high ports, for benchmarks only.
#   angarium.sh WORKDIR start|stop|kill|pid|wipe
# Environment (defaults in brackets):
#   ANGARIUM_BIN    directory of angarium and syncctl      [bin of this checkout]
#   ANGARIUM_IMAP / ANGARIUM_LMTP   ports                  [12143 / 12024]
#   ANGARIUM_CONFIG configuration file                     [none: the defaults]
#   ANGARIUM_USERS  accounts user1 … userN made at the first start [6000]
#   ANGARIUM_WAIT   seconds to wait for "ready"            [60]
set -eu
W=$(mkdir -p "$1" && cd "$1" && pwd); cmd=$2
BIN=${ANGARIUM_BIN:-$(cd "$(dirname "$0")/../../.." && pwd)/bin}
I=$W/angarium; D=$I/data; PIDF=$I/pid

start() {
  mkdir -p "$I/log"
  if alive; then echo "angarium runs already" >&2; exit 1; fi
  rm -f "$PIDF"
  ulimit -n "$(ulimit -Hn)"
  args=(serve --data "$D" --imap "127.0.0.1:${ANGARIUM_IMAP:-12143}" --lmtp "127.0.0.1:${ANGARIUM_LMTP:-12024}")
  [ -z "${ANGARIUM_CONFIG:-}" ] || args+=(--config "$ANGARIUM_CONFIG")
  : >"$I/log/out"
  setsid "$BIN/angarium" "${args[@]}" </dev/null >"$I/log/out" 2>>"$I/log/err" &
  p=$!; echo "$p" >"$PIDF"
  for _ in $(seq $((${ANGARIUM_WAIT:-60} * 100))); do
    ! grep -qx ready "$I/log/out" || break
    kill -0 "$p" 2>/dev/null || { tail -5 "$I/log/err" >&2; rm -f "$PIDF"; exit 1; }
    sleep 0.01
  done
  grep -qx ready "$I/log/out" || { echo "not ready in time" >&2; kill -9 "$p"; rm -f "$PIDF"; exit 1; }
  if [ ! -e "$I/accounts" ]; then
    seq -f 'user%g pass' 1 "${ANGARIUM_USERS:-6000}" >"$I/batch"
    "$BIN/syncctl" --data "$D" account add --batch "$I/batch" >"$I/log/accounts" 2>&1 || { tail -3 "$I/log/accounts" >&2; exit 1; }
    touch "$I/accounts"
  fi
  cat "$PIDF"
}
# alive tells if the recorded process is there and ours, not a later one with the same number.
alive() { [ -s "$PIDF" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$PIDF")/cmdline" | grep -q -F -- "serve --data $D "; }
await() { for _ in $(seq 1500); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.02; done; kill -9 "$1" 2>/dev/null || true; }

case $cmd in
  start) start ;;
  stop)  alive || exit 0; p=$(cat "$PIDF"); kill "$p" 2>/dev/null || true; await "$p"; rm -f "$PIDF" ;;
  kill)  alive || exit 0; p=$(cat "$PIDF"); kill -9 "$p" 2>/dev/null || true; await "$p"; rm -f "$PIDF" ;;
  pid)   cat "$PIDF" ;;
  wipe)  rm -rf "$I" ;;
  *) echo "unknown command $cmd" >&2; exit 2 ;;
esac
