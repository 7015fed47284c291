// Asks a PostgreSQL server as users of the npm package pg do; prints a line of JSON for each question.
//
// The server's port is the argument; user, password and database are in the environment as libpq has them.

import { createRequire } from "node:module";

// From where the tests' packages are, wherever this file is.
const require = createRequire(process.env.TRAILDEX_CLIENTS + "/");
const pg = require("pg");

const client = new pg.Client({ host: "127.0.0.1", port: Number(process.argv[2]) });
await client.connect();
const show = (name, value) => console.log(JSON.stringify([name, value]));
const ids = async (condition, values) => {
  const { rows } = await client.query(`select eventid from cloudtrail ${condition}`, values);
  return rows.map((row) => row.eventid);
};
show("count", (await client.query("select count(*) as n from cloudtrail")).rows);
show("text", await ids("where eventname = $1 limit $2", ["GetObject", 3]));
show("time", await ids("where eventtime >= $1 order by eventtime", ["2023-07-12T00:00:00Z"]));
show("list", await ids("where eventname = any($1) order by eventtime", [["GetObject", "PutObject"]]));
show("error", await ids("where nothing = 1").catch((error) => error.code));
show("after an error", (await client.query("select 1 as one")).rows);
await client.end();
