"""VictoriaLogs: a server of its own, loaded and asked over HTTP at a loopback port.

Of each record it gets the nine fields, and as the message the record's text, which is the original and
has its words. A load that drops or loses a row fails.
"""

import atexit
import glob
import http.client
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

from common import FIELDS, REPO, disk, hour, second

SERVER = REPO / "target/peers/victorialogs/victoria-logs"

# A file of CloudTrail has one of each, so the rows of a request belong to few streams, and a stream of a
# day to a thousand rows and more.
STREAM = "recipientAccountId,awsRegion"

# Files in a request: some 5 MB. Forty took as long.
BATCH = 8

# What the server may need to show the last rows and to end its merges, in seconds.
SETTLE = 120


def send(port, paths):
    """Hands the records of some files over; the number of them. Runs in a process of its own."""
    import msgspec
    from isal import igzip

    # Of each record only the fields that are wanted become objects; the text is a slice of the file.
    optional = lambda names: [(name, str | None, None) for name in names]
    paths_of = list(FIELDS.values())
    identity = msgspec.defstruct("Identity", omit_defaults=True, fields=optional(
        path.partition(".")[2] for path in paths_of if path.startswith("userIdentity.")))
    row = msgspec.defstruct("Row", omit_defaults=True, fields=[
        ("eventTime", str), ("userIdentity", identity | None, None), ("text", str, ""),
        *optional(path for path in paths_of if "." not in path)])
    file = msgspec.defstruct("File", [("Records", list[msgspec.Raw])])

    file_decoder, row_decoder, rows = msgspec.json.Decoder(file), msgspec.json.Decoder(row), []
    for path in paths:
        for text in file_decoder.decode(igzip.decompress(Path(path).read_bytes())).Records:
            rows.append(row_decoder.decode(text))
            rows[-1].text = str(text, "utf-8")
    arguments = {"_time_field": "eventTime", "_msg_field": "text", "_stream_fields": STREAM}
    request(http.client.HTTPConnection("127.0.0.1", port),
            "/insert/jsonline?" + urllib.parse.urlencode(arguments), msgspec.json.Encoder().encode_lines(rows))
    return len(rows)


def request(connection, path, body=None, headers={}):
    connection.request("POST" if body else "GET", path, body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        sys.exit(f"VictoriaLogs, {path}: {answer.decode()}")
    return answer


class VictoriaLogs:
    name = "VictoriaLogs"

    def __init__(self, place):
        self.version = subprocess.run([SERVER, "--version"], capture_output=True, text=True).stdout.strip()
        self.data = place / "victorialogs"

    def start(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        # Records of any time are kept, and none is too long.
        self.server = subprocess.Popen([
            SERVER, f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}", "-loggerLevel=WARN",
            "-retentionPeriod=100y", "-futureRetention=100y", "-insert.maxLineSizeBytes=1MiB"])
        atexit.register(self.server.kill)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
        while self.server.poll() is None:
            try:
                return self.metrics()
            except OSError:
                self.connection.close()
                time.sleep(0.02)
        sys.exit("VictoriaLogs did not start")

    def metrics(self):
        text = request(self.connection, "/metrics").decode()
        return {name: float(value) for name, value in re.findall(r"^(vl_\S+) (\S+)$", text, re.MULTILINE)}

    def settle(self, rows):
        """Returns when all rows can be found and no merge has run for a second."""
        quiet, end = 0, time.monotonic() + SETTLE
        while quiet < 10:
            metrics = self.metrics()
            total = lambda prefix: sum(value for name, value in metrics.items() if name.startswith(prefix))
            found = total("vl_storage_rows{")
            quiet = quiet + 1 if found == rows and not total("vl_active_merges{") else 0
            if time.monotonic() > end:
                sys.exit(f"VictoriaLogs has {found:.0f} of {rows} rows, {total('vl_rows_dropped_total'):.0f} dropped")
            time.sleep(0.1)

    def load(self, archive):
        self.start()
        # Day by day, as its partitions are, and as logs come in.
        paths = sorted(glob.glob(f"{archive}/**/*.json.gz", recursive=True), key=lambda path: path.split("/")[-4:])
        batches = [(self.port, paths[n:n + BATCH]) for n in range(0, len(paths), BATCH)]
        with multiprocessing.Pool(os.cpu_count()) as pool:
            self.rows = sum(pool.starmap(send, batches, chunksize=1))
            pool.close()
            pool.join()
        self.settle(self.rows)
        # What is in memory is written, and the server's processor time becomes that of a child.
        self.close()

    def close(self):
        self.server.terminate()
        self.server.wait()

    def disk(self):
        return disk(self.data)

    def ask(self, query, **arguments):
        body = urllib.parse.urlencode({"query": query, **arguments})
        answer = request(self.connection, "/select/logsql/query", body,
                         {"Content-Type": "application/x-www-form-urlencoded"})
        return [json.loads(line) for line in answer.splitlines()]

    def questions(self, v):
        self.start()
        self.settle(self.rows)
        is_ = lambda field, value: f"{field}:={json.dumps(value)}"
        # `limit` without sorting looks for a time range that holds as many rows, and wants one to look in, as
        # its web interface gives it: all that there is.
        [all_] = self.ask("* | stats min(_time) start, max(_time) end")
        records = " | fields _time, _msg"
        latest = " | sort by (_time desc) limit 50" + records

        def newest(query, **arguments):
            rows = self.ask(query, **arguments)
            return sorted((second(json.loads(row["_msg"])["eventTime"]) for row in rows), reverse=True)

        def last(condition):
            # Two questions take a fifth of the time of one, which reads records wherever it looks.
            times = [row["_time"] for row in self.ask(f"{condition} | fields _time", limit=50, **all_)]
            return newest(condition + latest, start=min(times), end=all_["end"]) if times else []

        by = lambda query, *fields: [[*(row[field] for field in fields), int(row["n"])] for row in self.ask(query)]
        return {
            "newest_all": lambda: last("*"),
            "newest_common": lambda: last(is_("eventName", v["common"])),
            "newest_rare": lambda: last(is_("eventName", v["rare"])),
            # Words are found without regard to case only by reading the records: once is enough.
            "newest_word": lambda: newest(f"i({v['word']})" + records, limit=50, **all_),
            "newest_day": lambda: newest(f"{{awsRegion={json.dumps(v['region'])}}} _time:{v['day']}Z" + latest),
            "count_term": lambda: by(f"{is_('eventName', v['common'])} | stats count() n"),
            "top10": lambda: by("* | top 10 by (eventName) hits as n", "eventName"),
            "hours": lambda: sorted([hour(h), n] for h, n in by("* | stats by (_time:1h) count() n", "_time")),
            "by_two": lambda: sorted(by("* | stats by (eventSource, awsRegion) count() n", "eventSource", "awsRegion")),
            "distinct": lambda: by("* | stats count_uniq(sourceIPAddress) n"),
            "top10_agents": lambda: by("userAgent:* | top 10 by (userAgent) hits as n", "userAgent"),
            "infix": lambda: by(f"eventName:~{json.dumps(v['infix'])} | stats count() n"),
        }
