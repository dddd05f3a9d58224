#!/usr/bin/env bash
# Runs real programs against the server, each script with a server of its own. Installs what they need (Debian, as root).
#   test/clients/run.sh [SCRIPT...]     BIN: directory of angarium [bin]   KEEP=1: keep the temporary directories
set -uo pipefail
cd "$(dirname "$0")" || exit 1

scripts=("$@")
if [ ${#scripts[@]} -eq 0 ]; then scripts=(imaplib.sh curl.sh postfix.sh mbsync.sh offlineimap.sh getmail.sh mutt.sh); fi

need=()
for p in postfix:postfix mbsync:isync swaks:swaks curl:curl offlineimap:offlineimap3 getmail:getmail6 mutt:mutt python3:python3; do
  PATH=$PATH:/usr/sbin command -v "${p%%:*}" >/dev/null || need+=("${p##*:}")
done
if [ ${#need[@]} -gt 0 ]; then
  echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${need[@]}" || exit 1
fi

failed=()
for s in "${scripts[@]}"; do
  timeout 600 "./$(basename "$s")" || failed+=("$s")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAIL: ${failed[*]}"
  exit 1
fi
echo "PASS: ${scripts[*]}"
