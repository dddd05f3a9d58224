#!/usr/bin/env bash
# Runs a node of a previous version beside one of this tree, in both roles, with planned promotions each way as in a rolling upgrade, and opens the
# data directory of the old one with the new program.
#   test/upgrade/run.sh     PREVIOUS: a commit [the first whose channels an operator can set up]   BIN: directory of the present angarium and syncctl [bin]
. "$(dirname "$0")/../runbooks/lib.sh"
HERE=$(cd "$(dirname "$0")/../runbooks" && pwd)

root=$(git -C "$HERE" rev-parse --show-toplevel)
PREVIOUS=${PREVIOUS:-$(git -C "$root" log --format=%H -- syncctl/channel.go | tail -1)}
[ -n "$PREVIOUS" ] || fail "no previous version in this checkout: fetch its history"
say "previous: $(git -C "$root" log -1 --format='%h, %s' "$PREVIOUS")"
mkdir "$TMP/source" "$TMP/old"
git -C "$root" archive "$PREVIOUS" | tar -x -C "$TMP/source"
(cd "$TMP/source" && go build -trimpath -o "$TMP/old/" ./cmd/angarium ./syncctl)
NEW=$(cd "${BIN:-$root/bin}" && pwd) OLD=$TMP/old

# as VERSION COMMAND...: with the programs of a version.
as() { BIN=$1 "${@:2}"; }

# restart NODE VERSION: stops a node and starts it with the programs of a version.
restart() {
  end_node "$1" TERM
  as "$2" start_node "$1"
}

# hand_over FROM TO VERSION: TO, whose programs are of that version, becomes the primary.
hand_over() {
  as "$3" ctl "$2" promote --yes >"$TMP/promoted" 2>&1 || fail "promotion of $2: $(cat "$TMP/promoted")"
  wait_leads "$2"
  wait_follows "$1" "$2"
}

mail_is() { [ "$(subjects "$1" ann)" = "$2" ]; }

sent=""
# check WHAT: mail goes in at both nodes and is on both, and they are the same.
check() {
  deliver east ann "$1, east"
  deliver west ann "$1, west"
  imap west ann 'ok(M.select("INBOX")); ok(M.store("1", "+FLAGS", "(kw%s)" % len(ok(M.search(None, "ALL"))[0].split())))'
  sent+="${sent:+,}$1, east,$1, west"
  wait_follows "$2" "$3"
  equal "$1: mail on east" "$(subjects east ann)" "$sent"
  equal "$1: mail on west" "$(subjects west ann)" "$sent"
  as "$NEW" same east west
  say "$1: ok"
}

# Both old.
BIN=$OLD
two_nodes
check "both old" west east

# The replica first: an old primary and a new replica.
restart west "$NEW"
wait_follows west east
check "new replica" west east

# The lead goes to the new one: a new primary and an old replica.
hand_over east west "$NEW"
check "old replica" east west

# And back, as when the upgrade is given up.
hand_over west east "$OLD"
check "back at the old" west east

# The primary by force: the old one comes back, as the new program, with a tail that the other has not.
as "$OLD" ctl east channel pause west >/dev/null
deliver east ann "set aside"
end_node east KILL
as "$NEW" ctl west promote --force --yes >/dev/null 2>&1 || fail "forced promotion"
wait_leads west
as "$NEW" start_node east # opens the data directory of the old version
as "$NEW" ctl east channel resume west >/dev/null
wait_follows east west
until_true 30 test -n "$(echo "$TMP"/east/aside/*/report.json)" || fail "nothing was carried over"
sent+=",set aside"
until_true 30 mail_is west "$sent" || fail "the mail that was set aside is not there: $(subjects west ann)"
check "both new" east west
as "$NEW" ctl east verify --deep >/dev/null || fail "east is damaged"
