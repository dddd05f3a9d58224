#!/usr/bin/env bash
# Runbook "a message has to be taken back": docs/backup.md. Also an encrypted archive, two shards, and a restore of all accounts.
. "$(dirname "$0")/lib.sh"

ctl mail backup --new-key "$TMP/key" >/dev/null
printf '[server]\nshards = 2\n[archive]\nurl = "%s"\nkey_file = "%s"\n' "$ARCHIVE" "$TMP/key" >"$TMP/angarium.toml"
start_node mail --config "$TMP/angarium.toml"
for account in ann ben cid; do
  printf '%s\n' "$PASSWORD" | ctl mail account add $account --password-stdin >/dev/null
done
imap mail ann 'ok(M.create("Lists"))'
fill mail Lists 1 5
imap mail ben 'ok(M.append("INBOX", None, None, b"Message-ID: <3@Lists.example>\r\n\r\nforwarded\r\n"))'
before=$(sorted_dump mail)
then=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)

ctl mail recall --message-id 3@Lists.example --dry-run --json >"$TMP/found"
equal "found" "$(json "$TMP/found" "sorted((f['account'], f['mailbox']) for f in d['found'])")" "[('ann', 'Lists'), ('ben', 'INBOX')]"
ctl mail recall --message-id 3@Lists.example --yes --json >"$TMP/recalled"
equal "recalled" "$(json "$TMP/recalled" "d['messages']")" 2
equal "none left" "$(imap mail ben 'print(ok(M.select("INBOX"))[0].decode())')" 0
ctl mail history --account ann --message 3@Lists.example --json >"$TMP/history"
equal "history" "$("$PYTHON" -I -c 'import json, sys; print(",".join(json.loads(x)["kind"] for x in open(sys.argv[1])))' "$TMP/history")" \
  "MessagesAppended,FlagsChanged,MessagesExpunged"

# Undone by a restore of everything; an account that was deleted meanwhile comes back, too.
ctl mail account delete cid --yes >/dev/null
ctl mail restore --at "$then" --yes --json >"$TMP/restored"
equal "restored" "$(json "$TMP/restored" "(d['counts']['messages'], d['counts']['accounts'])")" "(2, 1)"
equal "mail" "$(sorted_dump mail)" "$before"
ctl mail restore --at "$then" --yes --json >"$TMP/again"
equal "second run" "$(json "$TMP/again" "sum(d['counts'].values())")" 0

ctl mail backup --now --json >"$TMP/backup"
equal "shards" "$(json "$TMP/backup" "len(d['shards'])")" 2
code=0
timeout 60 "$BIN/syncctl" snapshots --archive "$ARCHIVE" >/dev/null 2>&1 || code=$?
equal "without the key" $code 2
timeout 60 "$BIN/syncctl" verify --archive "$ARCHIVE" --key-file "$TMP/key" --deep --data "$TMP/mail" --json >"$TMP/verified" ||
  fail "verify: $(cat "$TMP/verified")"
ctl mail prune --keep-last 1 --dry-run --json >"$TMP/pruned"
equal "the newest is kept" "$(json "$TMP/pruned" "[len(s['keep']) for s in d['shards']]")" "[1, 1]"
ctl mail prune --keep-last 1 --yes --json >/dev/null
fill mail Lists 6 8 # the archive goes on after it
ctl mail backup --now --json >"$TMP/backup"
timeout 60 "$BIN/syncctl" verify --archive "$ARCHIVE" --key-file "$TMP/key" --deep --data "$TMP/mail" --json >"$TMP/verified" ||
  fail "verify after pruning: $(cat "$TMP/verified")"
ctl mail usage --json >"$TMP/usage"
equal "usage" "$(json "$TMP/usage" "d['archive']['objects'] > 0 and len(d['shards']) == 2")" True

# Without a server: the tool opens the data directory itself.
before=$(dump mail exact)
end_node mail TERM
ctl mail --config "$TMP/angarium.toml" backup --now --json >"$TMP/backup"
timeout 60 "$BIN/syncctl" recover --archive "$ARCHIVE" --key-file "$TMP/key" --data "$TMP/fresh" --json >/dev/null
start_node fresh
equal "mail with every UID" "$(dump fresh exact)" "$before"
