import assert from "node:assert/strict";
import { test } from "node:test";

import { DAYS, GROUPS_MAX, STATES, WHOLE, hoursOf, kindOfCell, mapOf, signOf, spanOf, timeOf, windowOf, wordsOf } from "../../../crates/web/page/core/archive.js";
import { START, format, parse } from "../../../crates/web/page/core/url.js";

const archive = (inventory) => ({ ...START, view: "archive", inventory: { ...WHOLE, ...inventory } });

test("the address holds what the archive shows, whatever names are made of", () => {
  for (const inventory of [
    {},
    { until: "2024-05-06", account: "", state: "rejected", path: "a&b=#<c>" },
    { day: "2024-05-06", account: "<img src=x>", cell: { account: "a b", region: "\u{202e}&ct=1", time: "2024-05-06T07" } },
    { cell: { account: "", region: "", time: "2024-05-06" } },
  ]) {
    assert.deepEqual(parse(format(archive(inventory))), archive(inventory));
  }
  assert.equal(format({ ...archive({ path: "x" }), view: "events" }), "#", "beside the events it is not said");
});

test("what an address says wrongly is as if it said nothing", () => {
  for (const wrong of ["v=archive&ad=2024-02-30", "v=archive&ad=x", "v=archive&au=2024-5-6", "v=archive&fs=indexed'", "v=archive&ct=2024-05-06T24", "v=archive&ct=2024-05-06T07:00", "v=archive&ca=1&cr=2"]) {
    assert.deepEqual(parse(`#${wrong}`).inventory, WHOLE, wrong);
  }
  assert.equal(parse("#v=other&fs=indexed").view, "events");
  assert.deepEqual(parse("#v=other&fs=indexed").inventory, WHOLE);
});

test("the map spans the archive's days, so many at most, or the hours of a day", () => {
  const extent = { first: "2024-05-01T10:00:00Z", last: "2024-05-03T00:00:00Z" };
  const days = (inventory, of = extent) => windowOf({ ...WHOLE, ...inventory }, of)?.map((ms) => new Date(ms).toISOString().slice(0, 13));
  assert.deepEqual(days({}), ["2024-05-01T00", "2024-05-04T00"]);
  assert.deepEqual(days({ day: "2024-05-02" }), ["2024-05-02T00", "2024-05-03T00"]);
  assert.deepEqual(days({ until: "2024-04-01" }), ["2024-04-01T00", "2024-04-02T00"], "before its first event");
  const [start, end] = windowOf(WHOLE, { first: "2020-01-01T00:00:00Z", last: extent.last });
  assert.equal((end - start) / 86400e3, DAYS);
  assert.equal(windowOf(WHOLE, {}), null);
});

test("a gap, a quiet hour and one that is not known are told apart by more than a colour", () => {
  const group = (time, events, missing) => ({ account: "1", region: "r", time, events, missing, files: 1, hours: 1 });
  const groups = [group("2024-05-01T00:00:00Z", 90, 0), group("2024-05-02T00:00:00Z", 1, 3), group("2024-05-03T00:00:00Z", 0, 24), group("2024-05-05T00:00:00Z", 0, 0)];
  const span = [Date.parse("2024-05-01"), Date.parse("2024-05-06")];
  const map = mapOf({ groups, total: 4 }, span, false);
  assert.equal(map.rows.length, 1);
  const kinds = map.rows[0].groups.map((one) => kindOfCell(one, map));
  assert.deepEqual(kinds, ["shade-3", "part", "gap", "none", "none"]);
  assert.deepEqual(kinds.map(signOf), ["", "!", "!", "·", "·"]);
  assert.equal(wordsOf(groups[1], "part"), "1 event, a gap of 3 hours, 1 file");
  assert.equal(wordsOf(null, "none"), "no event");
  // Where the daemon lists not all, nothing is called empty that is only not listed.
  for (const cut of [{ groups, total: 5 }, { groups: Array(GROUPS_MAX).fill(groups[0]), total: GROUPS_MAX }]) {
    const of = mapOf(cut, span, false);
    assert.equal(kindOfCell(null, of), "unknown");
    assert.match(wordsOf(null, "unknown"), /not known/);
  }
  assert.equal(kindOfCell(group("2024-05-01T00:00:00Z", 1, 0), map), "shade-0");
  for (const note of ["hours before 2024-05-03T00:00:00Z are too many to list", "7 more gaps", "what nobody has thought of"]) {
    assert.equal(kindOfCell(null, mapOf({ groups, total: 4, notes: [note] }, span, false)), "unknown", note);
  }
  for (const note of ["3 more recordings", "digests whose state is not known here"]) {
    assert.equal(kindOfCell(null, mapOf({ groups, total: 4, notes: [note] }, span, false)), "none", note);
  }
  // Of a gap that is longer than the map, what the map shows.
  assert.equal(hoursOf([{ start: "2024-04-30T20:00:00Z", end: "2024-05-01T03:00:00Z" }, { start: "2024-05-05T23:00:00Z", end: "2024-05-09T00:00:00Z" }], span), 4);
});

test("names of accounts are no keys of anything", () => {
  const group = (account, region) => ({ account, region, time: "2024-05-01T00:00:00Z", events: 1, missing: 0, files: 0, hours: 1 });
  const map = mapOf({ groups: [group("__proto__", "constructor"), group('a","b', "c"), group("a", 'b","c')], total: 3 }, [Date.parse("2024-05-01"), Date.parse("2024-05-02")], false);
  assert.deepEqual(map.rows.map(({ account, region }) => [account, region]), [["__proto__", "constructor"], ['a","b', "c"], ["a", 'b","c']]);
});

test("a cell is a day or an hour", () => {
  assert.deepEqual(spanOf("2024-05-01T07"), [Date.parse("2024-05-01T07:00:00Z"), Date.parse("2024-05-01T08:00:00Z")]);
  assert.deepEqual(spanOf("2024-05-01"), [Date.parse("2024-05-01"), Date.parse("2024-05-02")]);
  assert.equal(timeOf(Date.parse("2024-05-01T07:00:00Z"), true), "2024-05-01T07");
});

test("states are those that the daemon has", async () => {
  const { readFileSync } = await import("node:fs");
  const source = readFileSync(new URL("../../../crates/wire/src/files.rs", import.meta.url), "utf8");
  const named = [...source.matchAll(/\("([a-z]+)", Self::[A-Z][a-z]+\),/g)].map(([, name]) => name).filter((name) => !["account", "region", "day"].includes(name));
  assert.deepEqual(STATES.map(([name]) => name).sort(), named.sort());
});
