#!/usr/bin/env bash
# Formatting, vet, and the one-way imports of ARCHITECTURE.md.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=$(gofmt -l .)
if [ -n "$bad" ]; then echo "not gofmt'ed:"; echo "$bad"; exit 1; fi
go vet ./...
go test ./test/layers
