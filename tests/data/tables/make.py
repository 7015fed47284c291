#!/usr/bin/env python3
"""Makes the tables of this folder from some of the records of ../stratus: make.py, in a Python that has
pyarrow and duckdb (made with pyarrow 26.0.1 and duckdb 2.0.1). The records, as they are, go into
records.ndjson, with which the tests compare what is read of the tables."""

import csv
import datetime
import gzip
import json
import pathlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
RECORDS_MAX = 40

# AWS's documentation of Athena: names and order of the columns.
IDENTITY = {
    "type": str, "principalId": str, "arn": str, "accountId": str, "invokedBy": str,
    "accessKeyId": str, "userName": str,
    "sessionContext": {
        "attributes": {"mfaAuthenticated": str, "creationDate": str},
        "sessionIssuer": {"type": str, "principalId": str, "arn": str, "accountId": str, "userName": str},
        "ec2RoleDelivery": str,
        "webIdFederationData": {"federatedProvider": str, "attributes": "map"},
    },
}
RESOURCE = {"ARN": str, "accountId": str, "type": str}
TLS = {"tlsVersion": str, "cipherSuite": str, "clientProvidedHostHeader": str}
ATHENA = {
    "eventVersion": str, "userIdentity": IDENTITY, "eventTime": str, "eventSource": str,
    "eventName": str, "awsRegion": str, "sourceIPAddress": str, "userAgent": str, "errorCode": str,
    "errorMessage": str, "requestParameters": "json", "responseElements": "json",
    "additionalEventData": "json", "requestID": str, "eventID": str, "resources": [RESOURCE],
    "eventType": str, "apiVersion": str, "readOnly": str, "recipientAccountId": str,
    "serviceEventDetails": "json", "sharedEventID": str, "vpcEndpointId": str, "tlsDetails": TLS,
}
# And of Lake, whose maps hold texts, and whose times are such.
LAKE = ATHENA | {
    "eventTime": "time", "requestParameters": "map", "responseElements": "map",
    "additionalEventData": "map", "serviceEventDetails": "map", "readOnly": bool,
    "managementEvent": bool, "eventCategory": str,
}


def records():
    found = {}
    for path in sorted((HERE / "../stratus").glob("*.json")):
        for record in json.loads(path.read_text())[:3]:
            if record.get("eventID") and record.get("recipientAccountId"):
                found.setdefault(record["eventID"], record)
    return list(found.values())[:RECORDS_MAX]


def text(value):
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"))


def cell(value, kind):
    """A value as the column's kind has it, in Python; None for null."""
    if value is None:
        return None
    if isinstance(kind, dict):
        return {name.lower(): cell(value.get(name), inner) for name, inner in kind.items()}
    if isinstance(kind, list):
        return [cell(element, kind[0]) for element in value]
    if kind == "map":
        return {name: text(inner) for name, inner in value.items()} if isinstance(value, dict) else None
    if kind == "time":
        return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    if kind is bool:
        return bool(value)
    return text(value)


def arrow(kind):
    if isinstance(kind, dict):
        return pa.struct([(name.lower(), arrow(inner)) for name, inner in kind.items()])
    if isinstance(kind, list):
        return pa.list_(arrow(kind[0]))
    if kind == "map":
        return pa.map_(pa.string(), pa.string())
    if kind == "time":
        return pa.timestamp("ms")
    return pa.bool_() if kind is bool else pa.string()


def trino(value):
    """As Trino prints it."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={trino(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(trino(element) for element in value) + "]"
    return str(value)


def table(schema, rows):
    columns = {
        name.lower(): pa.array([cell(row.get(name), kind) for row in rows], arrow(kind))
        for name, kind in schema.items()
    }
    return pa.table(columns)


def printed(value):
    return "" if value is None else trino(value) if isinstance(value, (dict, list)) else str(value)


def write_csv(name, header, rows, quoting=csv.QUOTE_ALL):
    open_file = gzip.open if name.endswith(".gz") else open
    with open_file(HERE / name, "wt", newline="") as file:
        writer = csv.writer(file, quoting=quoting, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main():
    rows = records()
    (HERE / "records.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))

    names = [name.lower() for name in ATHENA]
    cells = [[printed(cell(row.get(name), kind)) for name, kind in ATHENA.items()] for row in rows]
    write_csv("athena.csv", names, cells)
    athena = table(ATHENA, rows)
    pq.write_table(athena, HERE / "athena-snappy.parquet", row_group_size=15)
    pq.write_table(athena, HERE / "athena-gzip-v2.parquet", compression="gzip",
                   data_page_version="2.0", use_dictionary=False,
                   column_encoding={name: "DELTA_BYTE_ARRAY" for name in ["eventname", "useragent"]})

    lake = table(LAKE, rows)
    pq.write_table(lake, HERE / "lake-zstd.parquet", compression="zstd")
    duckdb.register("lake", lake)
    duckdb.sql(f"copy lake to '{HERE}/lake-duckdb.parquet' (format parquet)")
    names = ["eventID", "eventTime", "eventName", "eventJson"]
    write_csv("lake.csv.gz", names,
              [[row["eventID"], row["eventTime"], row["eventName"], json.dumps(row)] for row in rows],
              csv.QUOTE_MINIMAL)

    write_csv("insights.csv", ["@timestamp", "@message", "@log"],
              [[row["eventTime"].replace("T", " ")[:-1] + ".000", json.dumps(row), "1:trail"]
               for row in rows], csv.QUOTE_MINIMAL)
    pq.write_table(pa.table({"line": [json.dumps(row) for row in rows]}), HERE / "raw.parquet")

    console = ["Event ID", "Event time", "User name", "AWS access key", "Event name", "Event source",
               "AWS region", "Source IP address", "User agent", "Error code", "Request ID",
               "Read-only", "Event type", "Recipient Account Id"]
    fields = ["eventID", "eventTime", None, None, "eventName", "eventSource", "awsRegion",
              "sourceIPAddress", "userAgent", "errorCode", "requestID", "readOnly", "eventType",
              "recipientAccountId"]
    identity = lambda row, name: (row.get("userIdentity") or {}).get(name) or ""
    history = []
    for row in rows:
        values = [text(row.get(field)) or "" if field else "" for field in fields]
        values[2] = identity(row, "userName") or identity(row, "arn").rsplit("/", 1)[-1]
        values[3] = identity(row, "accessKeyId")
        history.append(values)
    write_csv("event-history.csv", console, history, csv.QUOTE_MINIMAL)

    # A list that is long, of one text that is long: a few kilobytes here, 1.3 GB if all of it were kept.
    word = pa.array(["x" * 65_536])
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), word)
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000, 20_000], pa.int32()), words)
    bomb = {name.lower(): [row.get(name) for row in rows[:2]]
            for name in ["eventTime", "eventSource", "eventName", "eventID", "recipientAccountId"]}
    pq.write_table(pa.table(bomb | {"words": lists}), HERE / "long-list.parquet", compression="zstd",
                   store_schema=False)


main()
