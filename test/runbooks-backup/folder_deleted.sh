#!/usr/bin/env bash
# Runbook "the wrong folder was deleted": docs/backup.md.
. "$(dirname "$0")/lib.sh"

a_store
fill mail Lists 1 30
fill mail INBOX 1 3
before=$(sorted_dump mail)
imap mail ann 'ok(M.subscribe("Lists")); ok(M.delete("Lists"))'

ctl mail history --account ann --mailbox Lists --json | tail -1 >"$TMP/last"
equal "last event" "$(json "$TMP/last" "d['kind'] + ' ' + d['actor'] + ' ' + d['service']")" "MailboxDeleted ann imap"

ctl mail undelete Lists --account ann --dry-run >"$TMP/plan"
grep -q '30 messages brought back' "$TMP/plan" || fail "the plan: $(cat "$TMP/plan")"
grep -q 'MailboxDeleted .*ann by imap' "$TMP/plan" || fail "the plan does not name who did it: $(cat "$TMP/plan")"
ctl mail undelete Lists --account ann --yes --json >"$TMP/done"
equal "messages brought back" "$(json "$TMP/done" "d['counts']['messages']")" 30
equal "mail" "$(sorted_dump mail)" "$before"

# A second run does nothing.
ctl mail undelete Lists --account ann --yes --json >"$TMP/again"
equal "second run" "$(json "$TMP/again" "sum(d['counts'].values())")" 0
