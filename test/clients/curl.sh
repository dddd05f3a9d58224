#!/usr/bin/env bash
# curl's imap:// addresses: list, append, fetch, search, store.
. "$(dirname "$0")/lib.sh"
start_server
add_account ann@example.test

go() { curl -sS --fail --max-time 60 --user "ann@example.test:$PASSWORD" "$@"; }
url=imap://127.0.0.1:$IMAP

go "$url" -X 'CREATE Work' >/dev/null
go "$url/" | tr -d '\r' | sort >"$TMP/list"
grep -q '^\* LIST (.*) "/" "\?INBOX"\?$' "$TMP/list" || fail "INBOX is not listed: $(cat "$TMP/list")"
grep -q '^\* LIST (.*) "/" "\?Work"\?$' "$TMP/list" || fail "Work is not listed: $(cat "$TMP/list")"

for i in 1 2 3; do
  printf 'From: a@example.test\r\nSubject: number %s\r\n\r\nbody %s\r\n' $i $i >"$TMP/$i.eml"
  go -T "$TMP/$i.eml" "$url/INBOX"
done
head -c 3000000 /dev/urandom | base64 -w 76 | sed 's/$/\r/' >"$TMP/large"
{ printf 'Subject: large\r\n\r\n'; cat "$TMP/large"; } >"$TMP/4.eml"
go -T "$TMP/4.eml" "$url/INBOX"
for i in 1 2 3 4; do
  go "$url/INBOX;UID=$i" -o "$TMP/got"
  cmp -s "$TMP/got" "$TMP/$i.eml" || fail "message $i has other octets"
done
go "$url/INBOX;MAILINDEX=2;SECTION=TEXT" -o "$TMP/got"
equal "section" "$(tr -d '\r' <"$TMP/got")" "body 2"

equal "search" "$(go "$url/INBOX?SUBJECT%20%22number%203%22" | tr -d '\r')" "* SEARCH 3"
go "$url/INBOX" -X 'STORE 2 +Flags \Deleted' >/dev/null
equal "search for what is deleted" "$(go "$url/INBOX?DELETED" | tr -d '\r')" "* SEARCH 2"
go "$url/INBOX" -X 'UID COPY 1 Work' >/dev/null
equal "copies" "$(count ann@example.test Work)" 1
go "$url/INBOX" -X 'EXPUNGE' | grep -q '^\* 2 EXPUNGE' || fail "no EXPUNGE"
if go "$url/INBOX;UID=2" -o "$TMP/got" 2>/dev/null; then fail "an expunged message can be fetched"; fi
if curl -sS --fail --max-time 60 --user ann@example.test:wrong "$url" 2>/dev/null; then fail "a wrong password was taken"; fi
equal "authentication" "$(go --login-options AUTH=PLAIN "$url/INBOX?ALL" | tr -d '\r')" "* SEARCH 1 2 3"
