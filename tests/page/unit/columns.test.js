import assert from "node:assert/strict";
import { test } from "node:test";

import { COLUMNS, COLUMNS_MAX, WIDTH_MAX, WIDTH_MIN, forAddress, fromAddress, layout, moved, resized, widthOf } from "../../../crates/web/page/core/columns.js";

test("an address names the columns beside the list's own, or all of them", () => {
  assert.deepEqual(fromAddress([]), COLUMNS);
  assert.deepEqual(fromAddress(["a", "b", "a"]), [...COLUMNS, "a", "b"]);
  assert.deepEqual(fromAddress(["ip", "a", "time", "id"]), ["ip", "a", "time", "id"]);
  assert.deepEqual(fromAddress(["ip"]), ["ip", "time", "id"], "without a time and a way to the event there is no list");
  const many = fromAddress(["ip", ...Array.from({ length: 90 }, (_, at) => `f${at}`)]);
  assert.deepEqual([many.length, many.at(-1)], [COLUMNS_MAX, "id"]);
  for (const columns of [COLUMNS, [...COLUMNS, "a"], ["a", ...COLUMNS], COLUMNS.toReversed(), ["time", "id"], ["time", "id", "__proto__"]]) {
    assert.deepEqual(fromAddress(forAddress(columns)), columns);
  }
});

test("a width of an address is one of a column, within bounds", () => {
  assert.deepEqual(widthOf("120 a b", ["a b"]), ["a b", 120]);
  for (const text of ["", "120", "120 ", " a", "x a", "12e1 a", "-50 a", `${WIDTH_MIN - 1} a`, `${WIDTH_MAX + 1} a`, "120 c", "99999999 a"]) {
    assert.equal(widthOf(text, ["a", "b"]), undefined, text);
  }
});

test("a column is moved", () => {
  assert.deepEqual(moved(["a", "b", "c"], "a", 2), ["b", "c", "a"]);
  assert.deepEqual(moved(["a", "b", "c"], "c", 0), ["c", "a", "b"]);
  assert.deepEqual(moved(["a", "b", "c"], "b", 1), ["a", "b", "c"]);
  assert.deepEqual(moved(["a", "b", "c"], "a", 99), ["b", "c", "a"]);
  assert.deepEqual(moved(["a", "b", "c"], "c", -9), ["c", "a", "b"]);
});

test("a width is set and taken back", () => {
  assert.deepEqual(resized([["a", 50]], "a", 60.4), [["a", 60]]);
  assert.deepEqual(resized([["a", 50]], "b", 1), [["a", 50], ["b", WIDTH_MIN]]);
  assert.deepEqual(resized([["a", 50]], "b", 1e9), [["a", 50], ["b", WIDTH_MAX]]);
  assert.deepEqual(resized([["a", 50]], "a", null), []);
});

test("once a width is set, all are in pixels but for one that takes what is left", () => {
  assert.equal(layout(COLUMNS, []).least, 0);
  const { widths, least } = layout(COLUMNS, [["ip", 300]]);
  assert.equal(widths[COLUMNS.indexOf("ip")], "300px");
  assert.deepEqual(widths.filter((width) => !width.endsWith("px")), ["auto"]);
  assert.ok(least > 1_000);
  assert.deepEqual(layout(["time", "id", "a"], [["a", 50]]).widths.at(-1), "50px");
});
