#!/usr/bin/env bash
# Runbook "planned switchover": docs/replication.md.
. "$(dirname "$0")/lib.sh"

two_nodes
same west east

# Deliveries and two IMAP clients go on throughout.
cat >"$TMP/load.py" <<'PY'
import imaplib, os, smtplib, sys, time
east, west, east_imap, west_imap = (int(p) for p in sys.argv[1:5])
stop, password = sys.argv[5], sys.argv[6]
clients = []
for port in (east_imap, west_imap):
    c = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    c.login("ann", password)
    c.select("INBOX")
    clients.append(c)
n, worst = 0, 0.0
end = time.time() + 40
while not os.path.exists(stop) and time.time() < end:
    for port in (east, west):
        begin = time.time()
        with smtplib.LMTP("127.0.0.1", port, timeout=20) as c:
            c.ehlo("client.example")
            c.sendmail("sender@example.com", ["ann"], f"Subject: load {n}\r\n\r\nx\r\n")  # raises unless 250
        n, worst = n + 1, max(worst, time.time() - begin)
    for c in clients:
        if c.noop()[0] != "OK":
            sys.exit("a client was refused")
print(n, round(worst, 3))
PY
timeout 60 "$PYTHON" "$TMP/load.py" "${LMTP[east]}" "${LMTP[west]}" "${IMAP[east]}" "${IMAP[west]}" "$TMP/stop" "$PASSWORD" >"$TMP/load" 2>"$TMP/load.err" &
load=$!
wait_for east 20 "s['shards'][0]['messages'] > 20" >/dev/null

ctl west promote --yes >"$TMP/promotion" 2>&1 || fail "promotion: $(cat "$TMP/promotion")"
wait_leads west
wait_follows east west
before=$(status west "s['shards'][0]['messages']")
wait_for west 20 "s['shards'][0]['messages'] > $before + 20" >/dev/null
ctl west demote --to east --yes >/dev/null # and back, from the other side
wait_leads east
wait_follows west east
touch "$TMP/stop"
wait $load || fail "a delivery or a client failed: $(cat "$TMP/load.err")"
read -r sent worst <"$TMP/load"

equal "messages on east" "$(status east "s['shards'][0]['messages']")" "$sent"
equal "each is there once" "$(imap east ann '
ok(M.select("INBOX", True))
rows = [r[1] for r in ok(M.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")) if isinstance(r, tuple)]
print(len(set(rows)))')" "$sent"
same east west
say "$sent deliveries, none failed; the longest took $worst s"
