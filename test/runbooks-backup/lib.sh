# Shared by the scripts of this folder: what those of test/runbooks have, and a store with an archive.
# shellcheck shell=bash
# shellcheck source=../runbooks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../runbooks/lib.sh"

ARCHIVE="file://$TMP/archive"

# a_store: the node mail with an archive, and the account ann with the mailbox Lists.
a_store() {
  start_node mail --archive "$ARCHIVE"
  printf '%s\n' "$PASSWORD" | ctl mail account add ann --password-stdin >/dev/null
  imap mail ann 'ok(M.create("Lists"))'
}

# fill NODE MAILBOX FIRST LAST: appends messages, each with its own text and Message-ID.
fill() {
  imap "$1" ann "
for i in range($3, $4 + 1):
    text = f'Message-ID: <{i}@$2.example>\r\nSubject: $2 {i}\r\n\r\ntext {i}\r\n'.encode()
    ok(M.append('$2', r'(\Flagged)' if i % 7 == 0 else None, None, text))"
}

# position NODE: how far the log of shard 0 is.
position() { status "$1" "s['shards'][0]['position']"; }

# json FILE PYTHON: a Python expression of d, what a JSON file holds.
json() { "$PYTHON" -I -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }

# dump NODE [exact]: all that a client sees of ann's mail, one line a message: mailbox, flags, subject, digest; with exact also UIDVALIDITY and UID.
dump() {
  imap "$1" ann "
import hashlib, re
exact = '${2:-}' == 'exact'
for row in sorted(ok(M.list())):
    name = re.search(rb' \"?([^\"]*)\"?\$', row).group(1).decode()
    n = int(ok(M.select(f'\"{name}\"', True))[0])
    validity = M.response('UIDVALIDITY')[1][0].decode() if exact else '-'
    print(name, validity, sep='|')
    for r in ok(M.fetch('1:*', '(UID FLAGS INTERNALDATE BODY.PEEK[])')) if n else []:
        if isinstance(r, tuple):
            head = r[0].decode()
            uid = re.search(r'UID (\d+)', head).group(1) if exact else '-'
            flags = ' '.join(sorted(f for f in re.search(r'FLAGS \(([^)]*)\)', head).group(1).split() if f != r'\Recent'))
            date = re.search(r'INTERNALDATE \"([^\"]*)\"', head).group(1)
            print(name, uid, flags, date, hashlib.sha256(r[1]).hexdigest()[:16], sep='|')"
}

# sorted_dump NODE: without the order of the messages, which UIDs give.
sorted_dump() { dump "$1" | sort; }
