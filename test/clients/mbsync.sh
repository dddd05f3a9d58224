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

# sync WHAT
sync() {
  timeout 300 mbsync -c "$TMP/mbsyncrc" -a -V >"$TMP/sync.out" 2>&1 || fail "$1: mbsync: $(tail -5 "$TMP/sync.out")"
  say "$1: $(grep -c '^Opening far side box' "$TMP/sync.out") folders"
}

# state: every folder as IMAP shows it. HIGHESTMODSEQ changes with any change of a message or its flags.
state() {
  imap ann@example.test '
for box in ok(M.list()):
    name = box.decode().split(" \"/\" ")[1].strip("\"")
    print(name, ok(M.status("\"" + name + "\"", "(MESSAGES UIDVALIDITY UIDNEXT UNSEEN HIGHESTMODSEQ)"))[0].decode())'
}

# files: every file of a message, with the time of its last change.
files() { find "$LOCAL" -path '*/cur/*' -o -path '*/new/*' | sort | xargs -d '\n' stat -c '%n %Y %Z'; }

# moves_nothing WHAT: a run of mbsync that changes neither side.
moves_nothing() {
  state >"$TMP/far1"
  files >"$TMP/near1"
  sync "$1"
  state >"$TMP/far2"
  files >"$TMP/near2"
  diff "$TMP/far1" "$TMP/far2" >&2 || fail "$1: the server's side changed"
  diff "$TMP/near1" "$TMP/near2" >&2 || fail "$1: the local side changed"
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

moves_nothing "second run"

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
moves_nothing "run after the changes"
validity() { sed 's/(.*\(UIDVALIDITY [0-9]*\).*/\1/' "$1" | grep -v '^Fresh' | sort; }
equal "UIDVALIDITY" "$(validity "$TMP/far2")" "$(validity "$TMP/state1")"
