#!/usr/bin/env bash
# mbsync: 5,000 messages in 20 folders, both ways. MESSAGES and FOLDERS change that.
. "$(dirname "$0")/lib.sh"
MESSAGES=${MESSAGES:-5000}
FOLDERS=${FOLDERS:-20}
start_server
add_account ann@example.test

LOCAL=$TMP/mail
cat >"$TMP/mbsyncrc" <<RC
IMAPStore far
Host 127.0.0.1
Port $IMAP
User ann@example.test
Pass $PASSWORD
SSLType None
AuthMechs LOGIN
Timeout 120

MaildirStore near
Path $LOCAL/
Inbox $LOCAL/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove None
Expunge Both
SyncState *
CopyArrivalDate yes
RC

# sync WHAT: runs mbsync; the numbers of its summary go to $TMP/sum ("Far: +1 *2 #3 -4 Near: +5 *6 #7 -8").
sync() {
  timeout 300 mbsync -c "$TMP/mbsyncrc" -a -V >"$TMP/sync.out" 2>&1 || fail "$1: mbsync: $(tail -5 "$TMP/sync.out")"
  grep -E '(Far|Near|Processed|Channels).*[+]' "$TMP/sync.out" | tail -1 >"$TMP/sum" || true
  say "$1: $(cat "$TMP/sum")"
}

# state: name, UIDVALIDITY, and number of messages of every folder as IMAP shows them.
state() {
  imap ann@example.test '
for box in ok(M.list()):
    name = box.decode().split(" \"/\" ")[1].strip("\"")
    print(name, ok(M.status("\"" + name + "\"", "(MESSAGES UIDVALIDITY)"))[0].decode())'
}

# compare WHAT: every message is on both sides, with the same flags.
compare() { python3 "$HERE/mbsync_compare.py" "$LOCAL" "$IMAP" ann@example.test "$PASSWORD" || fail "$1: the sides differ"; }

python3 - "$LOCAL" "$MESSAGES" "$FOLDERS" <<'PY'
import os, sys
root, messages, folders = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
flags = ["", "S", "F", "RS", "FRS", "D"]
for f in range(folders):
    box = os.path.join(root, "INBOX" if f == 0 else f"Folder {f}")
    for d in "cur", "new", "tmp":
        os.makedirs(os.path.join(box, d), exist_ok=True)
for i in range(messages):
    f = i % folders
    path = os.path.join(root, "INBOX" if f == 0 else f"Folder {f}", "cur", f"17000{i:05}.M{i}P1.host:2,{flags[i % len(flags)]}")
    with open(path, "w", newline="\n") as out:
        out.write(f"From: a@example.test\nSubject: number {i}\nMessage-ID: <{i}@example.test>\n\n" + f"line of message {i}\n" * (5 + i % 50))
PY
sync "push"
compare "push"
state >"$TMP/state1"
equal "messages" "$(grep -o 'MESSAGES [0-9]*' "$TMP/state1" | awk '{n += $2} END {print n}')" "$MESSAGES"
equal "folders" "$(wc -l <"$TMP/state1")" "$FOLDERS"

touch "$TMP/mark"
sync "again"
if grep -qE '[+*#-][1-9]' "$TMP/sum"; then fail "the second run moves something: $(cat "$TMP/sum")"; fi
[ -z "$(find "$LOCAL" -path '*/cur/*' -newer "$TMP/mark" -type f)" ] || fail "the second run changed files"

# Both sides change: new messages, flags, deletions.
printf 'Subject: new near\nMessage-ID: <near@example.test>\n\nx\n' >"$LOCAL/Folder 1/new/1800000000.N1.host"
for f in "$LOCAL/Folder 2/cur/"*; do rm "$f"; break; done
for f in "$LOCAL/Folder 3/cur/"*:2,S*; do mv "$f" "${f%:2,*}:2,FS"; break; done
imap ann@example.test '
ok(M.append("\"Folder 4\"", r"(\Seen)", None, b"Subject: new far\r\nMessage-ID: <far@example.test>\r\n\r\nx\r\n"))
ok(M.select("\"Folder 5\"")); ok(M.store("1:10", "+FLAGS", r"(\Flagged \Seen)"))
ok(M.select("\"Folder 6\"")); ok(M.store("1:3", "+FLAGS", r"(\Deleted)")); ok(M.expunge())
ok(M.create("Fresh")); ok(M.append("Fresh", None, None, b"Subject: fresh\r\nMessage-ID: <fresh@example.test>\r\n\r\nx\r\n"))'
sync "changes on both sides"
compare "changes on both sides"
state >"$TMP/state2"
equal "messages after the changes" "$(grep -o 'MESSAGES [0-9]*' "$TMP/state2" | awk '{n += $2} END {print n}')" $((MESSAGES + 3 - 4))
[ -n "$(grep -rl 'new far' "$LOCAL/Folder 4")" ] || fail "the new message did not come"
[ -d "$LOCAL/Fresh" ] || fail "the new folder did not come"
sync "again"
if grep -qE '[+*#-][1-9]' "$TMP/sum"; then fail "moves something: $(cat "$TMP/sum")"; fi
state >"$TMP/state3"
cmp -s "$TMP/state2" "$TMP/state3" || fail "the server's state changed"
validity() { sed 's/(MESSAGES [0-9]* /(/' "$1" | grep -v '^Fresh' | sort; }
equal "UIDVALIDITY" "$(validity "$TMP/state3")" "$(validity "$TMP/state1")"
