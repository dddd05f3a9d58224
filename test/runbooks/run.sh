#!/usr/bin/env bash
# Walks through the runbooks of docs/replication.md, each script with nodes of its own.
#   test/runbooks/run.sh [SCRIPT...]     BIN: directory of angarium and syncctl [bin]   KEEP=1: keep the temporary directories
set -uo pipefail
cd "$(dirname "$0")" || exit 1

scripts=("$@")
if [ ${#scripts[@]} -eq 0 ]; then
  for s in *.sh; do
    case $s in lib.sh | run.sh) ;; *) scripts+=("$s") ;; esac
  done
fi
PYTHON=$(python3 -c 'import sys; print(sys.executable)')
export PYTHON
failed=()
for s in "${scripts[@]}"; do
  timeout 300 "./$(basename "$s")" || failed+=("$s")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "FAIL: ${failed[*]}"
  exit 1
fi
echo "PASS: ${scripts[*]}"
