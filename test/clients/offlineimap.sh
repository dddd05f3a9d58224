#!/usr/bin/env bash
# OfflineIMAP: both ways, twice.
. "$(dirname "$0")/lib.sh"
start_server
add_account ann@example.test
imap ann@example.test '
ok(M.create("Work"))
for i in range(20):
    ok(M.append("Work" if i % 2 else "INBOX", r"(\Seen)" if i % 3 else None, None, f"Subject: number {i}\r\nMessage-ID: <{i}@example.test>\r\n\r\nbody {i}\r\n".encode()))'
cat >"$TMP/rc" <<RC
[general]
metadata = $TMP/meta
accounts = a
ui = basic
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = $TMP/mail
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = $IMAP
remoteuser = ann@example.test
remotepass = $PASSWORD
ssl = no
starttls = no
auth_mechanisms = LOGIN
RC
sync() { HOME=$TMP timeout 300 offlineimap -o -c "$TMP/rc" >"$TMP/out" 2>&1 || fail "offlineimap: $(tail -5 "$TMP/out")"; }
files() { find "$TMP/mail/$1/cur" "$TMP/mail/$1/new" -type f | wc -l; }
sync
equal "INBOX" "$(files INBOX)" 10
equal "Work" "$(files Work)" 10
printf 'Subject: near\nMessage-ID: <near@example.test>\n\nx\n' >"$TMP/mail/Work/new/1800000000.N1.host"
rm "$(find "$TMP/mail/INBOX/cur" "$TMP/mail/INBOX/new" -type f | head -1)"
imap ann@example.test 'M.select("Work"); ok(M.store("1", "+FLAGS", r"(\Flagged)"))'
sync
equal "INBOX on the server" "$(count ann@example.test INBOX)" 9
equal "Work on the server" "$(count ann@example.test Work)" 11
equal "flagged files" "$(find "$TMP/mail/Work/cur" -name '*:2,F*' | wc -l)" 1
sync
equal "Work after a third run" "$(count ann@example.test Work) $(files Work)" "11 11"
