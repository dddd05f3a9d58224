#!/usr/bin/env python3
"""Writes an audit trail of all events that a webhook sends.

    audit.py --port PORT --secret-file FILE --trail FILE

Each line of the trail is the event's id, the SHA-256 of the line before and the event. A line that was changed, or taken out, shows in all that follow:
audit.py --verify --trail FILE. Batches come at least once; what is in the trail already is passed over, by its id. A batch is answered when it
is on disk.
"""
import argparse
import hashlib
import hmac
import http.server
import json
import os
import sys
import threading
import time

MAX_BODY = 64 << 20
MAX_AGE = 300  # seconds


def event_id(event):
    return (event["shard"], event["position"], event["index"])


class Trail:
    """A file of chained lines."""

    def __init__(self, path):
        self.last = {}  # by shard: id of the last event
        self.hash = "0" * 64
        self.file = open(path, "a+b")
        self.file.seek(0)
        end = 0
        for line in self.file:
            if not line.endswith(b"\n"):
                break  # torn by a crash: it was not answered
            self._take(line)
            end += len(line)
        self.file.truncate(end)

    def _take(self, line):
        record = json.loads(line)
        if record["previous"] != self.hash:
            raise ValueError(f"the trail is broken at event {record['id']}")
        self.hash = hashlib.sha256(line).hexdigest()
        shard, position, index = event_id(record["event"])
        self.last[shard] = (position, index)

    def add(self, events):
        """Appends the events that are not there yet."""
        for event in events:
            shard, position, index = event_id(event)
            if (position, index) <= self.last.get(shard, (0, 0)):
                continue
            record = {"id": f"{shard}:{position}:{index}", "previous": self.hash, "event": event}
            line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            self.file.write(line)
            self._take(line)
        self.file.flush()
        os.fsync(self.file.fileno())


def signed(secret, header, body, now):
    """Says whether a request comes from who has the secret, and is not old."""
    fields = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    seconds = fields.get("t", "")
    if not seconds.isdigit() or abs(now - int(seconds)) > MAX_AGE:
        return False
    want = hmac.new(secret, seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(want, fields.get("v1", ""))


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes batches of events."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "-1"))
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        if not signed(self.server.secret, self.headers.get("Angarium-Signature", ""), body, time.time()):
            return self.answer(403)
        try:
            events = json.loads(body)["events"]
        except (ValueError, KeyError):
            return self.answer(400)
        with self.server.lock:
            self.server.trail.add(events)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trail", required=True)
    parser.add_argument("--verify", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret-file")
    args = parser.parse_args()
    if args.verify:
        try:
            trail = Trail(args.trail)
        except ValueError as err:
            sys.exit(str(err))
        print("sound, up to", trail.last)
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.lock = threading.Lock()
    with open(args.secret_file, "rb") as f:
        server.secret = f.read().strip()
    server.trail = Trail(args.trail)
    print("listening at", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
