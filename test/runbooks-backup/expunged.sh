#!/usr/bin/env bash
# Runbook "a phone expunged everything": docs/backup.md.
. "$(dirname "$0")/lib.sh"

a_store
fill mail Lists 1 40
before=$(sorted_dump mail)
imap mail ann 'ok(M.select("Lists")); ok(M.store("5:40", "+FLAGS", r"(\Deleted)")); ok(M.expunge())'

ctl mail unexpunge --account ann --mailbox Lists --list >"$TMP/list"
grep -q '36 messages brought back' "$TMP/list" || fail "the list: $(cat "$TMP/list")"
ctl mail unexpunge --account ann --mailbox Lists --uid 5:6 --yes --json >"$TMP/two"
equal "by UID" "$(json "$TMP/two" "d['counts']['messages']")" 2
ctl mail unexpunge --account ann --mailbox Lists --all --json >"$TMP/all"
equal "the rest" "$(json "$TMP/all" "d['counts']['messages']")" 34
ctl mail unexpunge --account ann --mailbox Lists --all --json >"$TMP/again"
equal "second run" "$(json "$TMP/again" "d['counts']['messages']")" 0
equal "mail" "$(sorted_dump mail)" "$before"
