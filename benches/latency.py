#!/usr/bin/env python3
"""Times searches at a daemon's socket: latency.py SOCKET. One connection, 15 requests a query."""
import http.client
import json
import socket
import statistics
import sys
import time

QUERIES = [
    "*", "region:us-east-1", "service:kms.amazonaws.com", "errorCode:AccessDenied",
    "credential:assumed-role", "requestParameters.force:true",
    "time:[2026-01-10 TO 2026-01-11]", "errorCode:*Unauthorized*", "decrypt", "NOT readOnly:true",
    "terraform", "eventName:Describe*", '"not authorized to perform"', "*unauthorized*",
]
REQUESTS = 15


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def ask(connection, query, order):
    body = json.dumps({"query": query, "order": order, "limit": 50})
    started = time.perf_counter()
    connection.request("POST", "/v1/search", body)
    answer = connection.getresponse().read()
    return (time.perf_counter() - started) * 1e3, json.loads(answer)


def main(path):
    connection = Connection(path)
    for order in ("newest", "oldest"):
        for query in QUERIES:
            times, answers = zip(*(ask(connection, query, order) for _ in range(REQUESTS)))
            found = answers[-1]
            if "error" in found:
                print(order, query, found["error"]["message"])
                continue
            print(f"{order} {query:35} {found['total']['value']:>9} matches, first "
                  f"{times[0]:8.2f} ms, median {statistics.median(times):8.2f} ms")


main(sys.argv[1])
