#!/usr/bin/env bash
# Runs the worked consumers against a server of events. What they need and is not there (Node with npm, Python) makes their test fail: nothing is skipped here.
set -euo pipefail
cd "$(dirname "$0")/.."
EXAMPLES_REQUIRED=1 go test -count=1 ./examples/...
