#!/usr/bin/env python3
"""How long it takes until a file renamed into place is found, while a backlog is indexed: freshness.py ARCHIVE BINARY [SECONDS]

The daemon begins with an empty index, watching the archive and an empty folder, into which a file with one event comes
every half second; the socket is asked every 10 ms.
"""
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("traildex")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def get(path, target):
    connection = Connection(path)
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def indexed(path):
    return json.loads(get(path, "/v1/status")[1])["events"]["indexed"]


archive, binary = sys.argv[1:3]
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60
with tempfile.TemporaryDirectory() as place:
    fresh, path = f"{place}/fresh", f"{place}/socket"
    os.mkdir(fresh)
    daemon = subprocess.Popen([binary, "serve", "--watch", archive, "--watch", fresh, "--data-dir", f"{place}/data",
                               "--socket", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(path) or get(path, "/readyz")[0] != 200 or indexed(path) == 0:
            time.sleep(0.05)
        begun, taken, before = time.monotonic(), [], 0
        while time.monotonic() < begun + seconds:
            now = indexed(path)
            if now < before + 10:
                print("the backlog has ended: a larger archive would last")
                break
            before = now
            event = str(uuid.uuid4())
            record = {"eventID": event, "eventName": "Fresh", "eventTime": "2026-01-01T00:00:00Z"}
            with open(f"{fresh}/{event}.tmp", "w") as file:
                json.dump({"Records": [record]}, file)
            renamed = time.monotonic()
            os.rename(file.name, f"{fresh}/{event}.json")
            while get(path, f"/v1/events/{event}")[0] == 404 and time.monotonic() < renamed + 30:
                time.sleep(0.01)
            taken.append(time.monotonic() - renamed)
            time.sleep(max(0, renamed + 0.5 - time.monotonic()))
        print(f"{indexed(path):,} events indexed meanwhile")
    finally:
        daemon.terminate()
        daemon.wait()
taken.sort()
share = lambda part: taken[min(len(taken) - 1, int(len(taken) * part))]
print(f"{len(taken)} files: median {share(.5):.2f} s, p95 {share(.95):.2f}, p99 {share(.99):.2f}, most {taken[-1]:.2f}")
