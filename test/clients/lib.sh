# Shared by the scripts of this folder: a server of its own on free loopback ports, in a temporary directory that goes away.
# shellcheck shell=bash
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${BIN:-$HERE/../../bin} # where angarium is
NAME=$(basename "$0")
NAME=${NAME%.*}
TMP=$(mktemp -d "/tmp/angarium-$NAME.XXXXXX")
PASSWORD=secret-password
SERVER=

say() { echo "$NAME: $*"; }

# fail MESSAGE: the test fails.
fail() {
  say "FAIL: $*" >&2
  exit 1
}

# equal WHAT GOT WANT
equal() { [ "$2" = "$3" ] || fail "$1: got '$2', want '$3'"; }

# free_ports N: N free TCP ports.
free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
socks = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in socks:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in socks])
PY
}

# until_true SECONDS COMMAND...: repeats a command until it succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# start_server: starts a server; sets IMAP, LMTP and MAP, its ports.
start_server() {
  read -r IMAP LMTP MAP <<<"$(free_ports 3)"
  "$BIN/angarium" serve --data "$TMP/data" --imap "127.0.0.1:$IMAP" --lmtp "127.0.0.1:$LMTP" --socketmap "127.0.0.1:$MAP" \
    >"$TMP/server.out" 2>"$TMP/server.log" &
  SERVER=$!
  until_true 60 grep -q ready "$TMP/server.out" || fail "the server did not start: $(tail -5 "$TMP/server.log")"
}

# add_account NAME...: makes accounts with the password PASSWORD.
add_account() {
  local name
  for name in "$@"; do
    curl -sS --fail --unix-socket "$TMP/data/control.sock" http://control/v1/accounts \
      -d "{\"accounts\":[{\"name\":\"$name\",\"password\":\"$PASSWORD\"}]}" | grep -q '"ok":true' || fail "account $name could not be made"
  done
}

# imap ACCOUNT PYTHON: runs Python code with M, an imaplib connection that has logged in as the account.
imap() {
  python3 - "$IMAP" "$1" "$PASSWORD" "$2" <<'PY'
import imaplib, sys
port, user, password, code = sys.argv[1:]
M = imaplib.IMAP4("127.0.0.1", int(port))
M.login(user, password)
def ok(answer):
    if answer[0] != "OK":
        sys.exit(f"refused: {answer}")
    return answer[1]
exec(code)
M.logout()
PY
}

# count ACCOUNT MAILBOX: how many messages a mailbox has.
count() { imap "$1" "print(int(ok(M.select('\"$2\"', True))[0]))"; }

clean_up() {
  local status=$?
  trap - EXIT
  if declare -F clean_up_more >/dev/null; then clean_up_more || true; fi
  if [ -n "$SERVER" ]; then
    kill "$SERVER" 2>/dev/null || true
    wait "$SERVER" || { say "the server ended with status $?"; status=1; }
    if [ $status -ne 0 ]; then tail -20 "$TMP/server.log" >&2; fi
  fi
  if [ -z "${KEEP:-}" ]; then rm -rf "$TMP"; else say "kept: $TMP"; fi
  if [ $status -eq 0 ]; then say PASS; else say FAIL; fi
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT TERM
