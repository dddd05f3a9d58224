#!/usr/bin/env bash
# Runbook "everything was marked read": docs/backup.md.
. "$(dirname "$0")/lib.sh"

a_store
fill mail Lists 1 20
imap mail ann 'ok(M.select("Lists")); ok(M.store("1:4", "+FLAGS", r"(\Seen)"))'
before=$(sorted_dump mail)
at=$(position mail)
imap mail ann 'ok(M.select("Lists")); ok(M.store("1:20", "+FLAGS", r"(\Seen)"))'
fill mail Lists 21 22 # what came meanwhile stays

ctl mail restore --at "$at" --account ann --only flags --dry-run >"$TMP/plan"
grep -q '16 messages with flags set back' "$TMP/plan" || fail "the plan: $(cat "$TMP/plan")"
grep -q 'FlagsChanged .*ann by imap' "$TMP/plan" || fail "the plan does not name who did it: $(cat "$TMP/plan")"
ctl mail restore --at "$at" --account ann --only flags --yes --json >"$TMP/done"
equal "flags set back" "$(json "$TMP/done" "d['counts']['flags']")" 16
equal "mail that was there" "$(sorted_dump mail | grep -Fxf <(echo "$before"))" "$before"
ctl mail restore --at "$at" --account ann --only flags --yes --json >"$TMP/again"
equal "second run" "$(json "$TMP/again" "sum(d['counts'].values())")" 0

# To another mailbox, as it was, beside what there is.
ctl mail restore --at "$at" --account ann --mailbox Lists --into "Lists before" --yes --json >"$TMP/into"
equal "copies" "$(json "$TMP/into" "d['counts']['messages']")" 20
