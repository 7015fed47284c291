"""What the systems share: which fields they name, and how their answers are written."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]

# Columns of ten fields, for the systems that want them named.
FIELDS = {
    "name": "eventName", "source": "eventSource", "region": "awsRegion", "account": "recipientAccountId",
    "ip": "sourceIPAddress", "agent": "userAgent", "error": "errorCode", "arn": "userIdentity.arn",
    "key": "userIdentity.accessKeyId",
}


def disk(path):
    path = Path(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def second(text):
    """2026-01-31T23:59:59Z as all systems' newest events are compared."""
    return text[:19].replace("T", " ")


def hour(text):
    return text[:13]
