"""Compares a tree of Maildirs with what IMAP shows: DIR PORT USER PASSWORD. Messages are told apart by Message-ID."""

import email
import imaplib
import os
import re
import sys

root, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
FLAGS = {"D": r"\Draft", "F": r"\Flagged", "R": r"\Answered", "S": r"\Seen"}


def near():
    found = {}
    for box in os.listdir(root):
        for sub in "cur", "new":
            for name in os.listdir(os.path.join(root, box, sub)):
                with open(os.path.join(root, box, sub, name), "rb") as f:
                    raw = f.read()
                info = name.partition(":2,")[2]
                flags = frozenset(FLAGS[c] for c in info if c in FLAGS)
                raw = re.sub(rb"(?m)^X-TUID: .*\n", b"", raw)
                put(found, box, raw, flags)
    return found


def far():
    found = {}
    with imaplib.IMAP4("127.0.0.1", port) as m:
        m.login(user, password)
        for line in m.list()[1]:
            box = line.decode().split(' "/" ')[1].strip('"')
            if m.select(f'"{box}"', readonly=True)[1] == [b"0"]:
                continue
            status, data = m.fetch("1:*", "(FLAGS BODY.PEEK[])")
            assert status == "OK", data
            for i, part in enumerate(data):
                if not isinstance(part, tuple):
                    continue
                rest = data[i + 1] if isinstance(data[i + 1], bytes) else b""
                flags = frozenset(f.decode() for f in imaplib.ParseFlags(part[0]) or imaplib.ParseFlags(rest))
                raw = re.sub(rb"(?m)^X-TUID: .*\n", b"", part[1].replace(b"\r\n", b"\n"))
                put(found, box, raw, flags - {r"\Recent"})
    return found


def put(found, box, raw, flags):
    key = box, email.message_from_bytes(raw)["Message-ID"]
    assert key not in found, f"{key} is there twice"
    found[key] = raw, flags


a, b = near(), far()
for key in sorted(a.keys() | b.keys()):
    if a.get(key) != b.get(key):
        sys.exit(f"{key}: near {a.get(key)}, far {b.get(key)}")
print(f"{len(a)} messages are the same on both sides")
