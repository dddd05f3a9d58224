"""Fills and shows accounts over IMAP: imap.py fill|state HOST PORT USER PASSWORD SEPARATOR [MESSAGES], imap.py ready HOST PORT."""
import imaplib
import re
import sys
import time

FLAGS = [r"(\Seen)", r"(\Seen \Answered Work)", r"(\Flagged)", "()", r"(\Draft $Later)"]


def login(host, port, user, password):
    m = imaplib.IMAP4(host, int(port))
    m.login(user, password)
    return m


def must(answer):
    if answer[0] != "OK":
        raise SystemExit(f"refused: {answer}")
    return answer[1]


def names(m):
    """Names as the server has them, without the prefix of a personal namespace."""
    prefix = ""
    space = m.namespace()[1][0] or b""
    found = re.match(rb'\(\("([^"]*)"', space)
    if found:
        prefix = found.group(1).decode()
    for line in must(m.list()):
        attrs, _, name = re.match(rb'\(([^)]*)\) ("[^"]*"|NIL) (.*)$', line).groups()
        if b"noselect" in attrs.lower() or b"nonexistent" in attrs.lower():
            continue
        name = name.decode().strip('"')
        yield name, name[len(prefix):] if name.startswith(prefix) and name != prefix else name


def fill(host, port, user, password, separator, count):
    m = login(host, port, user, password)
    space = m.namespace()[1][0] or b""
    found = re.match(rb'\(\("([^"]*)"', space)
    prefix = found.group(1).decode() if found else ""
    boxes = ["INBOX", prefix + "Sent", prefix + "Lists", prefix + separator.join(["Lists", "ietf"]), prefix + "Entw&APw-rfe"]
    for b in boxes[1:]:
        if m.create(f'"{b}"')[0] == "OK":
            time.sleep(1.1)  # Cyrus gives mailboxes that are made within one second one UIDVALIDITY
        m.subscribe(f'"{b}"')
    now = int(time.time())
    for i in range(int(count)):
        body = f"From: a@example.org\r\nTo: b@example.org\r\nMessage-ID: <{now}.{i}@example.org>\r\nSubject: message {i}\r\n\r\n" + "text\r\n" * (i % 50)
        date = imaplib.Time2Internaldate(1_600_000_000 + i * 3600)
        must(m.append(f'"{boxes[i % len(boxes)]}"', FLAGS[i % len(FLAGS)], date, body.encode()))
    for b in boxes:  # gaps, and a UIDNEXT above the last UID
        n = int(must(m.select(f'"{b}"'))[0])
        if n > 3:
            must(m.store(f"2,{n}", "+FLAGS", r"(\Deleted)"))
            must(m.expunge())
    m.logout()


def state(host, port, user, password, separator):
    m = login(host, port, user, password)
    lines = {}
    for raw, name in names(m):
        numbers = must(m.status(f'"{raw}"', "(UIDVALIDITY UIDNEXT MESSAGES)"))[0].decode()
        get = lambda what: int(re.search(what + r" (\d+)", numbers).group(1))
        if get("MESSAGES") == 0:
            continue  # one that was never used may have been made anew
        out = lines.setdefault(name.replace(separator, "/"), [f"UIDVALIDITY {get('UIDVALIDITY')} UIDNEXT {get('UIDNEXT')}"])
        must(m.select(f'"{raw}"', readonly=True))
        for line in must(m.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)")):
            text = line.decode()
            flags = sorted(f for f in re.search(r"FLAGS \(([^)]*)\)", text).group(1).split() if f != r"\Recent")
            when = time.mktime(imaplib.Internaldate2tuple(line))
            uid, size = (re.search(what + r" (\d+)", text).group(1) for what in ("UID", "SIZE"))
            out.append(f" {uid} {int(when)} {size} {' '.join(flags)}")
    for name in sorted(lines):
        print(name, *lines[name], sep="\n" if len(lines[name]) > 1 else " ")


def ready(host, port):
    imaplib.IMAP4(host, int(port)).logout()


if __name__ == "__main__":
    {"fill": fill, "state": state, "ready": ready}[sys.argv[1]](*sys.argv[2:])
