#!/usr/bin/env bash
# Python's imaplib: the usual things a script does with a mailbox.
. "$(dirname "$0")/lib.sh"
start_server
add_account ann@example.test
python3 "$HERE/imaplib_check.py" "$IMAP" ann@example.test "$PASSWORD"
