#!/usr/bin/env bash
# Fuzzes every fuzz target of the module, one after the other: fuzz.sh [TIME-PER-TARGET]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r pkg dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | sed 's/^func //' | sort -u | while read -r target; do
    echo "== $pkg $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "$pkg"
  done
done
