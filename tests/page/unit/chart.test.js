import assert from "node:assert/strict";
import { test } from "node:test";

import { canDraw, canStack, chartOf, leadsTo, linesOf, strokesOf, widthOf } from "../../../crates/web/page/core/chart.js";

const TIMES = ["2023-07-10T11:00:00Z", "2023-07-10T12:00:00Z", "2023-07-10T13:00:00Z"];
const roles = (query, columns, rows) => chartOf(query, { columns, rows }).roles.map(({ role, field }) => (field === undefined ? role : `${role} ${field}`));

test("the width of bars is the query's", () => {
  for (const [query, width] of [
    ["* | timeline 1h by service", "1h"], ["* | timeline by service", "1h"], ["x | timeline", "1h"], ["* | timeline 5min", "5m"], ["* | timeline 2 hours by a", "2h"],
    ["* | timeline d", "1d"], ["* | timechart span=10m count, distinct(a) by b", "10m"], ["* | timechart count by b", "1h"], ["* | timechart distinct(m) by b", "1h"],
    ["* | stats count(*) by bin(1d), a", "1d"], ["* | stats count by a, bin(mo)", "1mo"], ["* | stats count by a", ""], ["* | top 5 a", ""], ["a", ""], ["* | timeline 3y", ""],
  ]) assert.equal(widthOf(query), width, query);
});

test("columns are times, keys and numbers", () => {
  assert.deepEqual(roles("* | timeline 1h by service", ["time", "service", "count"], [[TIMES[0], "a", 1]]), ["time", "key service", "number"]);
  assert.deepEqual(roles("* | top 3 readOnly, actor", ["readOnly", "actor", "count"], [["false", "b", 508]]), ["key readOnly", "key actor", "number"]);
  assert.deepEqual(roles("* | count by requestParameters.maxResults", ["requestParameters.maxResults", "count"], [[5, 9], [null, 2]]), ["key requestParameters.maxResults", "number"]);
  assert.deepEqual(roles("* | count by net(ip, 24)", ["net(ip, 24)", "count"], [["10.0.0.0/24", 9]]), ["key", "number"]);
  assert.deepEqual(roles("* | stats count, first(time), values(ip) by actor", ["actor", "count", "first(time)", "values(ip)"], [["a", 1, TIMES[0], ["b"]]]), ["key actor", "number", "key", "other"]);
  assert.deepEqual(roles("* | fields time, requestParameters.size", ["time", "requestParameters.size"], [[TIMES[0], 5]]), ["key", "key requestParameters.size"]);
});

test("what has no number or no key is not drawn", () => {
  const can = (query, columns, rows) => canDraw(chartOf(query, { columns, rows }), rows);
  assert.equal(can("* | top 1 a", ["a", "count"], [["x", 1]]), true);
  assert.equal(can("* | top 1 a", ["a", "count"], []), false);
  assert.equal(can("* | stats count", ["count"], [[1]]), false);
  assert.equal(can("* | fields time, actor", ["time", "actor"], [[TIMES[0], "a"]]), false);
  assert.deepEqual(["count", "count(*)", "sum(a)", "counter", "distinct(a)", "p95(a)"].map(canStack), [true, true, true, false, false, false]);
});

test("a row leads to its events: its keys as conditions, its bar as a time", () => {
  const chart = chartOf("x:y OR z | timeline 1h by service, errorCode", { columns: ["time", "service", "errorCode", "count"], rows: [[TIMES[0], "a", null, 1]] });
  assert.deepEqual(leadsTo(chart, [TIMES[0], 'a"b', null, 1], "UTC", undefined), {
    query: '(x:y OR z) service = "a\\"b" NOT errorCode:*', range: "2023-07-10T11:00:00Z..2023-07-10T12:00:00Z", event: "",
  });
  // Only the part of the bar that was asked about was counted.
  assert.equal(leadsTo(chart, [TIMES[0], "a", "b", 1], "UTC", "2023-07-10T11:30:00Z..2023-07-10T11:45:00Z", [])?.range, "2023-07-10T11:30:00Z..2023-07-10T11:45:00Z");
  const network = chartOf("* | count by net(ip, 24)", { columns: ["net(ip, 24)", "count"], rows: [["10.0.0.0/24", 9]] });
  assert.equal(leadsTo(network, ["10.0.0.0/24", 9], "UTC", undefined), undefined, "no field has this value");
  const top = chartOf("* | top 3 actor", { columns: ["actor", "count"], rows: [["a", 1]] });
  assert.equal(leadsTo(top, ["x".repeat(5_000), 1], "UTC", undefined), undefined);
});

test("lines have their points, the largest first", () => {
  const rows = [[TIMES[0], "a", 1], [TIMES[0], "b", 5], [TIMES[2], "a", 2], [TIMES[1], "b", null]];
  const chart = chartOf("* | timeline 1h by x", { columns: ["time", "x", "count"], rows });
  const { slots, lines } = linesOf(chart, rows, 2, "UTC");
  assert.deepEqual(slots.map(([at]) => new Date(at).toISOString().slice(11, 13)), ["11", "12", "13"]);
  assert.deepEqual(lines.map(({ label, sum }) => [label, sum]), [["b", 5], ["a", 3]]);
  // A count that is not there is none; a mean that is not there is not known.
  assert.deepEqual(strokesOf(lines[1], slots, true).map((stroke) => stroke.map(([, value]) => value)), [[1, 0, 2]]);
  assert.deepEqual(strokesOf(lines[1], slots, false).map((stroke) => stroke.map(([, value]) => value)), [[1], [2]]);
});
