"""Asks a PostgreSQL server as psycopg's and ADBC's users do; prints a line of JSON for each question.

The server's port is the argument; user, password and database are in the environment as libpq has them.
"""

import datetime
import json
import os
import sys

import adbc_driver_postgresql.dbapi
import psycopg

port = sys.argv[1]
connection = psycopg.connect(host="127.0.0.1", port=port)


def show(name, value):
    print(json.dumps([name, value], default=str))


def rows(sql, values=None, **cursor):
    with connection.transaction(), connection.cursor(**cursor) as asked:
        return asked.execute(sql, values).fetchall()


def ids(condition, values=None, **cursor):
    order = "" if "limit" in condition else " order by eventtime"
    found = rows(f"select eventid from cloudtrail {condition}{order}", values, **cursor)
    return [row[0] for row in found]


day = datetime.datetime(2023, 7, 12)
show("count", rows("select count(*) from cloudtrail"))
show("text", ids("where eventname = %s", ("GetObject",)))
show("time", ids("where eventtime >= %s", (day,)))
show("time with a zone", ids("where eventtime >= %s", (day.replace(tzinfo=datetime.timezone.utc),)))
show("time as a text", ids("where eventtime >= %s", ("2023-07-12",)))
show("list", ids("where eventname = any(%s)", (["GetObject", "PutObject"],)))
show("truth", ids("where readonly = %s", (True,)))
show("limit", ids("order by eventtime limit %s offset %s", (2, 1)))
show("binary", rows("select eventid, eventtime, readonly from cloudtrail where eventid = 'e1'", binary=True))
show("cursor", ids("where eventtime < %s", (day,), name="of_the_server"))
identity = rows("select useridentity from cloudtrail where eventid = 'e1'")[0][0]
show("nested", json.loads(identity)["sessioncontext"]["sessionissuer"]["username"])
connection.prepare_threshold = 0
show("prepared", ids("where eventname = %s", ("PutObject",)))
with connection.transaction(), connection.cursor() as cursor:
    with cursor.copy("copy (select eventid, readonly from cloudtrail order by eventtime limit 2) to stdout") as copy:
        show("copy", [list(row) for row in copy.rows()])
try:
    rows("select nothing from cloudtrail")
except psycopg.Error as error:
    show("error", [error.sqlstate, str(error).splitlines()[0][:22]])
show("after an error", rows("select 1"))
for statement in ("insert into cloudtrail (eventid) values ('x')", "create table t (a int)"):
    try:
        rows(statement)
    except psycopg.Error as error:
        show("refused", error.sqlstate)
connection.close()

uri = f"postgresql://{os.environ['PGUSER']}:{os.environ['PGPASSWORD']}@127.0.0.1:{port}/traildex"
with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
    cursor.execute("select eventid, eventtime, readonly from cloudtrail order by eventtime limit 2")
    show("arrow", cursor.fetch_arrow_table().to_pylist())
    cursor.execute("select eventid from cloudtrail where eventname = 'Nothing'")
    show("arrow of nothing", cursor.fetchall())
