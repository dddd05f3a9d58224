#!/usr/bin/env bash
# Benchmarks of Angarium beside Dovecot and Cyrus: what "make bench" runs. docs/benchmarks.md tells the method.
# Every run appends JSON lines to one result file and renders the tables of docs/benchmarks.md anew, so that a whole
# comparison can be taken in pieces:  CASES="lmtp idle" ROUNDS=1 test/bench/run.sh
# Environment (defaults in brackets):
#   ROUNDS   times to go through all cases; the servers alternate within each [2]
#   SCALE    factor on the number of messages; 0.1 is a quick look           [1]
#   CASES    of: disk go lmtp append mixed idle mboxops box10k box100k replay million
#            [all of them]
#   SERVERS  of: angarium dovecot-sdbox dovecot-mdbox dovecot-maildir cyrus  [angarium dovecot-sdbox cyrus]
#   REPS     repetitions of the short write cases in a round                 [3]
#   MILLION  messages in the store of the case million                       [1000000]
#   WORK     work directory; the users mail, dovecot and cyrus must be able to reach it [/var/tmp/angarium-bench]
#   OUT      result file [WORK/results.jsonl]
#   DOC      document that gets the tables; empty: print them  [docs/benchmarks.md]
#   GOBENCH  arguments of the Go benchmarks                    [-benchtime=3s]
#   BIN      directory of angarium and syncctl; set: they are not built [bin]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); root=$(cd "$here/../.." && pwd)
CASES=${CASES:-disk go lmtp append mixed idle mboxops box10k box100k replay million}
SERVERS=${SERVERS:-angarium dovecot-sdbox cyrus}
REPS=${REPS:-3}; SCALE=${SCALE:-1}; WORK=${WORK:-/var/tmp/angarium-bench}; DOC=${DOC-$root/docs/benchmarks.md}
mkdir -p "$WORK/bin"; chmod 755 "$WORK"; WORK=$(cd "$WORK" && pwd); OUT=${OUT:-$WORK/results.jsonl}
MB=$WORK/bin/mailbench
# A round of a server uses accounts of its own, so that no case finds another one's mail.
USERS_PER_ROUND=700; MAX_ROUNDS=8

say() { echo "$(date +%T) $*" >&2; }
has() { [[ " $2 " == *" $1 "* ]]; }
scaled() { awk -v n="$1" -v s="$SCALE" 'BEGIN { x = int(n * s); print x < 20 ? 20 : x }'; }

# ---- The servers. At most one runs at a time.

ours() { # server command: calls the server's script
  case $1 in
    angarium)  ANGARIUM_BIN=${BIN:-$root/bin} "$here/peers/angarium.sh" "$WORK/angarium" "$2" ;;
    dovecot-*) DOVECOT_FORMAT=${1#dovecot-} "$here/peers/dovecot.sh" "$WORK/$1" "$2" ;;
    cyrus)     "$here/peers/cyrus.sh" "$WORK/cyrus" "$2" ;;
    million|replay) # angarium with a store of its own
      ANGARIUM_BIN=${BIN:-$root/bin} ANGARIUM_USERS=100 "$here/peers/angarium.sh" "$WORK/$1" "$2" ;;
    *) echo "unknown server $1" >&2; exit 2 ;;
  esac
}
running=
down() { [ -z "$running" ] || ours "$running" stop || true; running=; }
trap down EXIT
trap 'exit 130' INT TERM

up() { # server
  down; running=$1; ours "$1" start >/dev/null
  export BENCH_LABEL=$1 BENCH_PID BENCH_IMAP BENCH_LMTP BENCH_ADMIN=
  BENCH_PID=$(ours "$1" pid)
  case $1 in
    dovecot-*) BENCH_IMAP=127.0.0.1:10143 BENCH_LMTP=127.0.0.1:10024 ;;
    cyrus)     BENCH_IMAP=127.0.0.1:11143 BENCH_LMTP=127.0.0.1:11024 BENCH_ADMIN=cyrus ;;
    *)         BENCH_IMAP=127.0.0.1:12143 BENCH_LMTP=127.0.0.1:12024 BENCH_LABEL=angarium ;;
  esac
  for _ in $(seq 500); do "$MB" users -user nobody -users 0 >/dev/null && break; sleep 0.02; done
}

install_peers() {
  if { ! has cyrus "$SERVERS" || [ -x /usr/sbin/cyrmaster ]; } && { [[ $SERVERS != *dovecot* ]] || [ -x /usr/lib/dovecot/imap ]; }; then return; fi
  say "installing the peers"
  local policy=/usr/sbin/policy-rc.d deb
  [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; touch "$WORK/policy"; } # no service may start
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
    cyrus-imapd cyrus-clients cyrus-admin dovecot-core dovecot-lmtpd libsasl2-modules
  # dovecot-imapd and cyrus-imapd conflict as packages, not as files.
  deb=$(mktemp -d); (cd "$deb" && apt-get download -q dovecot-imapd && dpkg -x dovecot-imapd_*.deb /); rm -rf "$deb"
  [ ! -e "$WORK/policy" ] || rm -f $policy "$WORK/policy"
}

# ---- Measuring. A case that fails leaves a line that says so, and the others go on.

b() { # case workload flags...
  local c=$1 w=$2; shift 2
  timeout "${CASE_TIMEOUT:-400}" "$MB" "$w" -case "$c" -pid "$BENCH_PID" "$@" >>"$OUT" || { say "$c on $BENCH_LABEL failed:"; tail -1 "$OUT" >&2; }
}
users() { "$MB" users -base "$1" -users "$2" >/dev/null || say "no users on $BENCH_LABEL"; }

case_lmtp() { # first user of the round
  local u r
  for r in $(seq "$REPS"); do
    u=$(($1 + (r - 1) % 3 * 100)); users $u 100
    b lmtp-1conn lmtp -run "l1.$1.$r" -base $u -users 50 -conns 1 -n "$(scaled 1000)"
    b lmtp-8conn lmtp -run "l8.$1.$r" -base $u -users 50 -conns 8 -n "$(scaled 3000)"
    b lmtp-50rcpt lmtp -run "lf.$1.$r" -base $((u + 50)) -users 50 -conns 2 -rcpts 50 -n "$(scaled 200)"
  done
}
case_append() {
  local u r
  for r in $(seq "$REPS"); do
    u=$(($1 + 300 + (r - 1) % 3 * 20)); users $u 20
    b append-sync append -run "as.$1.$r" -base $u -n "$(scaled 1000)" -literal sync
    b append-plus append -run "ap.$1.$r" -base $((u + 1)) -n "$(scaled 1000)"
    b append-multi50 append -run "am.$1.$r" -base $((u + 2)) -n "$(scaled 2000)" -multi 50
    b append-8conn append -run "a8.$1.$r" -base $((u + 3)) -users 8 -conns 8 -n "$(scaled 3000)"
  done
}
case_mixed() {
  local u=$(($1 + 400)) r
  users $u 100
  "$MB" lmtp -run seedmail -base $u -users 100 -conns 4 -n "$(scaled 3000)" -check=false >/dev/null
  for r in $(seq "$REPS"); do b mixed mixed -run "mx.$1.$r" -base $u -users 100 -conns 16 -secs 10 -rate 20; done
}
case_idle() {
  users $(($1 + 500)) 100
  b idle500 idle -run "id.$1" -base $(($1 + 500)) -users 100 -conns 500 -n "$(scaled 300)" -median 4096 -sigma 0.5
}
case_mboxops() {
  users $(($1 + 600)) 1
  b mboxops1000 mboxops -run x -base $(($1 + 600)) -n "$(scaled 1000)"
}
case_box10k() {
  local a=(-run f10k -base $(($1 + 610)) -n "$(scaled 10000)")
  users $(($1 + 610)) 1
  b fill10k fill "${a[@]}" -multi 50 -check=false
  b headers10k fetch-headers "${a[@]}"
  b bodies10k fetch-bodies "${a[@]}"
  b search10k search "${a[@]}"
  b flags10k flags -run f10k -base $(($1 + 610)) -n 1000
}
case_box100k() {
  local a=(-run f100k -base $(($1 + 620)) -n "$(scaled 100000)" -median 2048 -sigma 0.5)
  users $(($1 + 620)) 1
  b fill100k fill "${a[@]}" -multi 100 -check=false
  b headers100k fetch-headers "${a[@]}"
  b select100k select -base $(($1 + 620)) -repeat 11
  b flags100k flags -run f100k -base $(($1 + 620)) -n 1000
  b resync100k resync "${a[@]}" -repeat 7 # expunges: the last of them
  users $(($1 + 630)) 20
  restarts startup $(($1 + 620)) "$(scaled 100000)" -base $(($1 + 630)) -users 20 -conns 8 -n 1000000
}
restarts() { # case user messages flags-of-the-load...: of the running server, each SIGKILL while mail comes in
  local s=$running c=$1 u=$2 n=$3 self load; shift 3
  self="$(declare -p here root WORK); BIN=${BIN:-}; $(declare -f ours); ours $s"
  load="$MB lmtp -run k\$\$ -check=false $* >/dev/null 2>&1 & sleep 5"
  b "$c" startup -base "$u" -n "$n" -start-cmd "$self start >/dev/null" -stop-cmd "$self stop" \
    -kill-cmd "$load; $self kill; kill \$!; wait" -repeat 3
  BENCH_PID=$(ours "$s" pid 2>/dev/null) || up "$s" # where the last start failed
}

rebuild() { # case server: how fast the log is replayed
  "${BIN:-$root/bin}/syncctl" --data "$WORK/$2/angarium/data" rebuild --json >"$WORK/rebuild.json" 2>"$WORK/rebuild.err" &&
    "$MB" record rebuild -case "$1" <"$WORK/rebuild.json" >>"$OUT" || { say "rebuild of $2 failed:"; tail -3 "$WORK/rebuild.err" >&2; }
}
case_replay() { # mail as it comes: one recipient, 10 KiB median
  ours replay stop; ours replay wipe; up replay
  "$MB" lmtp -run replay -base 1 -users 100 -conns 8 -n "$(scaled 20000)" -check=false >/dev/null
  down; rebuild replay replay
}
case_million() { # is filled once; a part at a time, so that it can be interrupted
  local n=${MILLION:-1000000} part=50000 have
  up million
  have=$(cat "$WORK/million/filled" 2>/dev/null || echo 0)
  while [ "$have" -lt "$n" ]; do
    b million-fill lmtp -run "m$have" -base 1 -users 100 -conns 8 -rcpts 50 -n $((part / 50)) -median 2048 -sigma 0.5 -check=false
    have=$((have + part)); echo "$have" >"$WORK/million/filled"
    say "$have of $n messages"
  done
  restarts million-startup 1 "$have" -base 1 -users 100 -conns 8 -n 1000000
  down; rebuild million-replay million
}
case_disk() { BENCH_LABEL=disk BENCH_PID=0 b syncrate syncrate -dir "$WORK" -secs 3; }
case_go() { # each benchmark runs over the package's own store; only the disk below WORK is used
  local bench=${GOBENCH:--benchtime=3s} t=$WORK/gobench.txt
  (
    cd "$root"; export TMPDIR=$WORK
    go test -run '^$' -bench 'Append2KiB64Writers|Replay2KiB' $bench ./eventlog/jslog
    go test -run '^$' -bench 'Replay$' ${GOBENCH:--benchtime=50000x} ./replica
    go test -run '^$' -bench 'Selected/FETCH' $bench ./imapd
    go test -run '^$' -bench 'Delivery' $bench ./lmtpd
  ) >"$t" 2>&1 || { say "a Go benchmark failed:"; tail -5 "$t" >&2; }
  "$MB" record gobench <"$t" >>"$OUT" || say "no Go benchmark ran"
}

# ---- The run.

install_peers
(cd "$here/mailbench" && go build -o "$MB" ./cmd/mailbench)
[ -n "${BIN:-}" ] || ! [[ "$SERVERS $CASES" =~ angarium|replay|million ]] || make -C "$root" build >/dev/null
for _ in $(seq "${ROUNDS:-2}"); do
  round=$(cat "$WORK/round" 2>/dev/null || echo 0)
  if [ "$round" -ge $MAX_ROUNDS ]; then
    say "all accounts are used: the servers begin anew"
    for s in $SERVERS; do ours "$s" stop; ours "$s" wipe; done
    round=0
  fi
  echo $((round + 1)) >"$WORK/round"
  for c in $CASES; do
    case $c in
    disk|go|replay|million) t0=$SECONDS; "case_$c"; down; say "$c took $((SECONDS - t0)) s" ;;
    *) for s in $SERVERS; do
        t0=$SECONDS; up "$s"; "case_$c" $((1 + round * USERS_PER_ROUND)); down; say "round $round: $c on $s took $((SECONDS - t0)) s"
      done ;;
    esac
  done
done
"$MB" report ${DOC:+-into "$DOC"} "$OUT"
