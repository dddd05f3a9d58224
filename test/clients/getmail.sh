#!/usr/bin/env bash
# getmail: fetches new mail once, then all of it and deletes it.
. "$(dirname "$0")/lib.sh"
start_server
add_account ann@example.test
imap ann@example.test '
for i in range(10):
    ok(M.append("INBOX", None, None, f"From: a@example.test\r\nSubject: number {i}\r\n\r\nbody {i}\r\n".encode()))'
mkdir -p "$TMP/mail/cur" "$TMP/mail/new" "$TMP/mail/tmp" "$TMP/get"
cat >"$TMP/get/rc" <<RC
[retriever]
type = SimpleIMAPRetriever
server = 127.0.0.1
port = $IMAP
username = ann@example.test
password = $PASSWORD
[destination]
type = Maildir
path = $TMP/mail/
RC
# It refuses to deliver as root.
AS=()
if [ "$(id -u)" = 0 ]; then
  chmod 755 "$TMP"
  chown -R nobody "$TMP/mail" "$TMP/get"
  AS=(runuser -u nobody --)
fi
get() { timeout 180 "${AS[@]}" getmail --getmaildir="$TMP/get" --rcfile=rc "$@" >"$TMP/out" 2>&1 || fail "getmail: $(tail -5 "$TMP/out")"; }
files() { find "$TMP/mail/new" -type f | wc -l; }
get --new --dont-delete
equal "first run" "$(files) $(count ann@example.test INBOX)" "10 10"
get --new --dont-delete
equal "second run" "$(files)" 10
get --all --delete
equal "with deletion" "$(files) $(count ann@example.test INBOX)" "20 0"
