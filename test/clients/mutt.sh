#!/usr/bin/env bash
# mutt in batch mode: opens a mailbox, flags, copies, deletes.
. "$(dirname "$0")/lib.sh"
start_server
add_account ann@example.test
imap ann@example.test '
ok(M.create("Work"))
for i in range(5):
    ok(M.append("INBOX", None, None, f"From: a@example.test\r\nSubject: number {i}\r\n\r\nbody {i}\r\n".encode()))'
cat >"$TMP/rc" <<RC
set imap_user="ann@example.test" imap_pass="$PASSWORD" imap_authenticators="plain:login"
set ssl_starttls=no ssl_force_tls=no folder="imap://127.0.0.1:$IMAP/" spoolfile="imap://127.0.0.1:$IMAP/INBOX"
set delete=yes confirmappend=no confirmcreate=no move=no quit=yes wait_key=no sleep_time=0 imap_qresync=yes imap_condstore=yes
set header_cache="$TMP/cache"
push "<tag-pattern>~s 'number 1'<enter><tag-prefix><flag-message><untag-pattern>.<enter><tag-pattern>~s 'number 2'<enter><tag-prefix><copy-message>=Work<enter><untag-pattern>.<enter><delete-pattern>~s 'number 3'<enter><sync-mailbox><exit>"
RC
HOME=$TMP TERM=xterm timeout 180 script -qec "mutt -n -F $TMP/rc" /dev/null </dev/null >"$TMP/out" 2>&1 || fail "mutt: $(tail -c 300 "$TMP/out")"
equal "INBOX" "$(count ann@example.test INBOX)" 4
equal "Work" "$(count ann@example.test Work)" 1
equal "flagged" "$(imap ann@example.test 'M.select("INBOX", True); print(ok(M.search(None, "FLAGGED"))[0].decode())')" 2
