#!/usr/bin/env bash
# Postfix in front: recipients by socketmap, delivery by LMTP.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin

CONF=$TMP/postfix
clean_up_more() { [ ! -f "$CONF/main.cf" ] || postfix -c "$CONF" stop >/dev/null 2>&1; }

start_postfix() {
  read -r SMTP <<<"$(free_ports 1)"
  mkdir -p "$CONF" "$TMP/queue" "$TMP/pdata"
  chmod 755 "$TMP" "$CONF"
  chown postfix "$TMP/pdata"
  cat >"$CONF/main.cf" <<MAIN
compatibility_level = 3.6
queue_directory = $TMP/queue
data_directory = $TMP/pdata
maillog_file = $TMP/mail.log
maillog_file_prefixes = $TMP
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
smtputf8_enable = yes
recipient_delimiter = +
virtual_mailbox_domains = example.test
virtual_mailbox_maps = socketmap:inet:127.0.0.1:$MAP:recipients
virtual_transport = lmtp:inet:127.0.0.1:$LMTP
lmtp_destination_recipient_limit = 100
MAIN
  cat >"$CONF/master.cf" <<MASTER
127.0.0.1:$SMTP inet n - n - - smtpd
pickup    unix n - n 60  1 pickup
cleanup   unix n - n -   0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n -   - trivial-rewrite
bounce    unix - - n -   0 bounce
defer     unix - - n -   0 bounce
trace     unix - - n -   0 bounce
verify    unix - - n -   1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -   - proxymap
smtp      unix - - n -   - smtp
lmtp      unix - - n -   - lmtp
error     unix - - n -   - error
retry     unix - - n -   - error
discard   unix - - n -   - discard
anvil     unix - - n -   1 anvil
scache    unix - - n -   1 scache
postlog   unix-dgram n - n - 1 postlogd
MASTER
  postfix -c "$CONF" start >"$TMP/postfix.out" 2>&1 || fail "postfix did not start: $(cat "$TMP/postfix.out")"
  until_true 30 swaks --server 127.0.0.1 --port "$SMTP" --quit-after EHLO || fail "postfix does not answer: $(tail -5 "$TMP/mail.log")"
}

send() { swaks --server 127.0.0.1 --port "$SMTP" --helo client.test --from sender@client.test "$@"; }

# arrive ACCOUNT MAILBOX N: waits until a mailbox has N messages.
arrive() {
  has() { [ "$(count "$1" "$2")" = "$3" ]; }
  until_true 60 has "$1" "$2" "$3" || fail "$2 of $1 has $(count "$1" "$2") messages, want $3; $(tail -5 "$TMP/mail.log")"
}

start_server
add_account ann@example.test bob@example.test
imap ann@example.test 'ok(M.create("lists"))'
start_postfix

send --to ann@example.test --h-Subject first >"$TMP/out" || fail "$(tail -5 "$TMP/out")"
arrive ann@example.test INBOX 1
if send --to nobody@example.test >"$TMP/out"; then fail "an unknown recipient was taken"; fi
grep -q '^<\*\* 550 5.1.1' "$TMP/out" || fail "unknown recipient: $(grep '^<\*\*' "$TMP/out")"
if send --to x@elsewhere.test >"$TMP/out"; then fail "postfix relays"; fi
say "known and unknown recipients: ok"

send --to ann+lists@example.test >"$TMP/out" || fail "detail: $(tail -5 "$TMP/out")"
arrive ann@example.test lists 1
send --to ann+nosuch@example.test >"$TMP/out" || fail "unknown detail: $(tail -5 "$TMP/out")"
arrive ann@example.test INBOX 2
send --to ANN@Example.TEST,bob@example.test >"$TMP/out" || fail "two recipients: $(tail -5 "$TMP/out")"
arrive ann@example.test INBOX 3
arrive bob@example.test INBOX 1
say "detail, letter case, two recipients: ok"

python3 - "$SMTP" <<'PY'
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
s.ehlo("client.test")
s.sendmail("sender@client.test", ["bob@example.test"], "Subject: =?utf-8?q?8bit?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
           "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße aus Köln\r\n.\r\n..dots\r\n".encode(), ["BODY=8BITMIME"])
s.sendmail("jürgen@client.test", ["bob@example.test"], "From: jürgen@client.test\r\nSubject: Übung\r\nMIME-Version: 1.0\r\n"
           "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nЗдравствуйте\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"])
for i in range(100):
    s.sendmail("sender@client.test", ["ann@example.test", "bob@example.test"], f"Subject: number {i}\r\n\r\nbody {i}\r\n")
s.quit()
PY
arrive bob@example.test INBOX 103
arrive ann@example.test INBOX 103
imap bob@example.test '
M.select("INBOX", True)
all = [m[1] for m in ok(M.fetch("1:*", "(BODY.PEEK[])")) if isinstance(m, tuple)]
def one(subject):
    found = [m for m in all if ("\r\nSubject: " + subject + "\r\n").encode() in m]
    if len(found) != 1:
        sys.exit(f"{len(found)} messages have the subject {subject}")
    return found[0]
if not one("=?utf-8?q?8bit?=").endswith("\r\n\r\nGrüße aus Köln\r\n.\r\n..dots\r\n".encode()):
    sys.exit("8BITMIME: other octets")
if not one("Übung").endswith("\r\n\r\nЗдравствуйте\r\n".encode()):
    sys.exit("SMTPUTF8: other octets")
for i in range(100):
    m = one(f"number {i}")
    if not m.endswith(f"\r\n\r\nbody {i}\r\n".encode()) or not m.startswith(b"Return-Path: <sender@client.test>\r\n"):
        sys.exit(f"number {i}: {m!r}")
'
say "8BITMIME, SMTPUTF8, 100 messages: ok"
grep -E 'status=(deferred|bounced)|warning|fatal|panic' "$TMP/mail.log" >"$TMP/bad" && fail "postfix complains: $(head -3 "$TMP/bad")"
exit 0
