import assert from "node:assert/strict";
import { test } from "node:test";

import { leadsTo, replacement } from "../../../crates/web/page/core/saved.js";

const STILL = { zone: "UTC", order: "newest", event: "" };

test("a saved search is asked with the times, the zone and the order that it has", () => {
  for (const [search, expected] of [
    [{ query: "a" }, { query: "a" }],
    [{ query: "a", order: "oldest", time_zone: "Europe/Berlin" }, { query: "a", order: "oldest", zone: "Europe/Berlin" }],
    [{ query: "a", start: "-24h" }, { query: "a", range: "-24h" }],
    [{ query: "a", start: "-24h", end: "now" }, { query: "a", range: "-24h" }],
    [{ query: "a", start: "2023-07-10T00:00:00Z", end: "2023-07-10T12:00:00.250+02:00" }, { query: "a", range: "2023-07-10T00:00:00Z..2023-07-10T10:00:00.250Z" }],
    [{ query: "a OR b | count", start: "2023-07-10" }, { query: '(a OR b) time >= "2023-07-10" | count', range: "all" }],
    [{ query: "a", start: "yesterday", end: "-1h" }, { query: 'a time >= "yesterday" time < "-1h"', range: "all" }],
    [{ query: "count", end: "2 days ago" }, { query: 'time < "2 days ago" | count', range: "all" }],
    [{ query: "a", start: "-1mo" }, { query: 'a time >= "-1mo"', range: "all" }],
  ]) {
    assert.deepEqual(leadsTo(search, {}), { ...STILL, ...expected }, JSON.stringify(search));
  }
  assert.equal(leadsTo({ query: "x:$a", start: "-1h" }, { a: "b c" }).query, "x:b\\ c");
  assert.throws(() => leadsTo({ query: "a", time_zone: "Mars/Olympus" }, {}), /does not know the time zone/);
});

test("what is replaced keeps what the page does not ask for", () => {
  const before = { query: "x:$a y:$b", description: "d", parameters: { a: { default: "1" }, b: {} }, start: "-1h", order: "oldest", owner: 7 };
  assert.deepEqual(replacement(before, "z:$a", ""), { query: "z:$a", description: "d", parameters: { a: { default: "1" } }, start: "-1h", order: "oldest" });
  assert.deepEqual(replacement(undefined, "z", "new"), { query: "z", description: "new", parameters: {} });
});
