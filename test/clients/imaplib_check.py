"""Checks of imaplib.sh: PORT USER PASSWORD. Ends with an AssertionError when the server does something else than expected."""

import imaplib
import re
import sys
import time

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def message(i):
    return f"From: a@example.test\r\nSubject: number {i}\r\nMessage-ID: <{i}@example.test>\r\n\r\nbody {i}\r\n".encode()


def refuses_wrong_passwords():
    m = imaplib.IMAP4("127.0.0.1", port)
    try:
        m.login(user, "wrong")
    except imaplib.IMAP4.error:
        return m.shutdown()
    raise AssertionError("a wrong password was taken")


def mailboxes(m):
    for name in "Work", "Work/2024", '"with space"', "Entw&APw-rfe":
        ok(m.create(name))
    assert m.create("Work")[0] == "NO"
    listed = b"\n".join(ok(m.list()))
    for name in b"INBOX", b"Work", b"Work/2024", b"with space", b"Entw&APw-rfe":
        assert re.search(rb'"/" "?' + re.escape(name) + rb'"?(\n|$)', listed), (name, listed)
    ok(m.rename("Work", "Job"))
    listed = b"\n".join(ok(m.list('""', '"Job*"')))
    assert b"Job/2024" in listed and b"Work" not in listed, listed
    ok(m.subscribe("Job"))
    assert b"Job" in ok(m.lsub())[0]
    ok(m.unsubscribe("Job"))
    ok(m.delete("Job/2024"))
    ok(m.namespace())


def append_and_fetch(m):
    when = imaplib.Time2Internaldate(1700000000)
    for i in range(10):
        data = ok(m.append("INBOX", r"(\Flagged)" if i == 3 else None, when, message(i)))
        assert b"APPENDUID" in data[0], data
    assert ok(m.select("INBOX")) == [b"10"]
    data = ok(m.fetch("3", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    assert data[0][1] == message(2), data
    assert b"RFC822.SIZE %d" % len(message(2)) in data[0][0], data
    assert time.mktime(imaplib.Internaldate2tuple(data[0][0])) == 1700000000, data
    assert imaplib.ParseFlags(data[0][0]) in ((), (rb"\Recent",)), data
    assert b"ENVELOPE" in ok(m.fetch("1", "(ENVELOPE BODYSTRUCTURE)"))[0]
    ok(m.fetch("1", "(RFC822)"))
    assert rb"\Seen" in ok(m.fetch("1", "(FLAGS)"))[0]
    assert ok(m.fetch("2", "(BODY.PEEK[TEXT]<0.4>)"))[0][1] == b"body"


def search_store_copy_expunge(m):
    assert ok(m.search(None, "FLAGGED")) == [b"4"]
    assert ok(m.search(None, "SUBJECT", '"number 7"')) == [b"8"]
    assert ok(m.search("UTF-8", "BODY", '"body 1"', "UNSEEN")) == [b"2"]
    assert ok(m.uid("SEARCH", "HEADER", "Message-ID", "<5@example.test>")) == [b"6"]
    ok(m.store("1:3", "+FLAGS", r"(\Deleted $Work)"))
    assert ok(m.search(None, "KEYWORD", "$Work")) == [b"1 2 3"]
    ok(m.store("3", "-FLAGS", r"(\Deleted)"))
    ok(m.copy("4:5", "Job"))
    assert m.copy("1", "nosuch")[0] == "NO"
    got = ok(m.expunge())
    assert sorted(got) in ([b"1", b"1"], [b"1", b"2"]), got  # in rising or in falling order
    assert ok(m.uid("SEARCH", "ALL")) == [b"3 4 5 6 7 8 9 10"]
    ok(m.uid("MOVE", "10", "Job"))
    assert b"MESSAGES 3" in ok(m.status("Job", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)"))[0]
    ok(m.close())
    assert ok(m.select("Job", readonly=True)) == [b"3"]
    assert m.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
    assert ok(m.fetch("3", "(BODY.PEEK[])"))[0][1] == message(9)
    ok(m.unselect())


def enable_utf8_if_offered(m):
    if "UTF8=ACCEPT" in m.capabilities:
        ok(m.enable("UTF8=ACCEPT"))


refuses_wrong_passwords()
with imaplib.IMAP4("127.0.0.1", port) as m:
    ok(m.login(user, password))
    mailboxes(m)
    append_and_fetch(m)
    search_store_copy_expunge(m)
    enable_utf8_if_offered(m)
    ok(m.noop())
m = imaplib.IMAP4("127.0.0.1", port)
m.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
assert ok(m.select())[0] == b"7"
m.logout()
