"""What the scripts of this folder do with a node.

node.py wait DATA SECONDS EXPR           until a Python expression of s, the node's status, is true; then prints its value
node.py deliver PORT ACCOUNT SUBJECT...  by LMTP
node.py imap PORT USER PASSWORD CODE     runs Python code with M, a connection that has logged in, and ok, which checks an answer
"""

import json
import socket
import sys
import time


def status(data):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(data + "/control.sock")
        s.sendall(b"GET /v1/status HTTP/1.0\r\nHost: control\r\n\r\n")
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


def wait(data, seconds, expression):
    end, said = time.monotonic() + float(seconds), "nothing"
    while True:
        try:
            s = status(data)
            value, said = eval(expression, {"s": s}), json.dumps(s)
            if value:
                print(value)
                return
        except (OSError, ValueError, LookupError) as e:
            said = repr(e)
        if time.monotonic() >= end:
            sys.exit(f"it did not come to be: {expression}; the node says {said}")
        time.sleep(0.05)


def deliver(port, to, *subjects):
    import smtplib

    try:
        with smtplib.LMTP("127.0.0.1", int(port), timeout=20) as c:
            c.ehlo("client.example")
            for subject in subjects:
                text = f"From: sender@example.com\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{subject}\r\n"
                c.sendmail("sender@example.com", [to], text)
    except smtplib.SMTPException as e:
        sys.exit(f"refused: {e}")


def ok(answer):
    if answer[0] != "OK":
        sys.exit(f"refused: {answer}")
    return answer[1]


def imap(port, user, password, code):
    import imaplib

    m = imaplib.IMAP4("127.0.0.1", int(port), timeout=20)
    m.login(user, password)
    exec(code, {"M": m, "ok": ok})
    m.logout()


{"wait": wait, "deliver": deliver, "imap": imap}[sys.argv[1]](*sys.argv[2:])
