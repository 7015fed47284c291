#!/usr/bin/env python3
"""Answers the questions of this folder with DuckDB, and writes the answers into their files.

    pip install duckdb && tests/questions/answers.py

Each file holds a question, traildex's query for it, the SQL, and the answer of the SQL. A test asks
traildex and compares. With SQL as its argument, it prints the answer to that.
"""

import gzip
import json
import re
import sys
import tempfile
from pathlib import Path

import duckdb

HERE = Path(__file__).resolve().parent
TRAILS = ["data/invictus", "data/stratus", "data/traildiscover", "data/panther", "questions/made-up.json"]


def files(path):
    return [path] if path.is_file() else sorted(path.rglob("*.*"))


def parsed(path, text):
    if path.suffix == ".ndjson":
        return [json.loads(line) for line in text.splitlines()]
    file = json.loads(text)
    return file if isinstance(file, list) else file.get("Records", [file])


def records():
    """Every record of the trails; the same account, id and content are the same event."""
    seen = set()
    for trail in TRAILS:
        for path in files(HERE.parent / trail):
            content = path.read_bytes()
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            for record in parsed(path, content.decode()):
                text = json.dumps(record, sort_keys=True)
                if text not in seen:
                    seen.add(text)
                    yield text


def database():
    db = duckdb.connect()
    db.execute("CREATE TABLE raw (j JSON)")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.writelines(f"{text}\n" for text in records())
        file.flush()
        db.execute("COPY raw FROM ? (FORMAT csv, delimiter E'\\x01', quote '', header false)", [file.name])
    db.execute((HERE / "events.sql").read_text())
    return db


def answer(db, sql):
    rows = db.execute(sql).fetchall()
    return "".join(json.dumps(list(row), ensure_ascii=False) + "\n" for row in rows)


def main():
    db = database()
    if len(sys.argv) > 1:
        print(answer(db, sys.argv[1]), end="")
        return
    for path in sorted(HERE.glob("[0-9]*.md")):
        text = path.read_text()
        sql = re.search(r"```sql\n(.*?)```", text, re.DOTALL).group(1)
        block = "```answer\n" + answer(db, sql) + "```"
        path.write_text(re.sub(r"```answer\n.*?```", lambda _: block, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
