import assert from "node:assert/strict";
import { test } from "node:test";

import { absolute, isRange, meant, named, resolve, shown, ticks, width } from "../../../crates/web/page/core/time.js";

const ARCHIVE = { first: "2023-07-10T11:42:18Z", last: "2023-07-10T12:37:50Z" };
const NOW = Date.parse("2026-01-02T03:04:05Z");

test("a range is relative to now or to the archive's end, or stands still", () => {
  for (const [range, start, end] of [
    ["all", undefined, undefined],
    ["-1h", "2026-01-02T02:04:05Z", "2026-01-02T03:04:05Z"],
    ["end-1h", "2023-07-10T11:37:51Z", "2023-07-10T12:37:51Z"],
    ["2023-07-10T00:00:00Z..2023-07-11T00:00:00Z", "2023-07-10T00:00:00Z", "2023-07-11T00:00:00Z"],
  ]) {
    assert.ok(isRange(range), range);
    const found = resolve(range, ARCHIVE, NOW);
    assert.deepEqual([found.start, found.end], [start, end], range);
  }
  assert.deepEqual(resolve("end-1h", {}, NOW), {});
  assert.equal(absolute("-1h", ARCHIVE, NOW), "2026-01-02T02:04:05Z..2026-01-02T03:04:05Z");
  assert.equal(absolute("all", ARCHIVE, NOW), "all");
});

test("what is no range is none", () => {
  for (const text of ["", "x", "-1", "-1y", "end-", "2023-07-10..2023-07-11", "..", "a..b",
    "2023-07-11T00:00:00Z..2023-07-10T00:00:00Z", "2023-07-10T00:00:00Z..2023-07-11T00:00:00Z..x",
    "2023-13-45T00:00:00Z..2024-07-10T00:00:00Z", "<script>", "-9999999d"]) {
    assert.ok(!isRange(text), text);
  }
  assert.equal(named("end-3d", "UTC"), "Archive's last 3d");
});

test("a time reads in its zone, and what a person writes there is read back", () => {
  assert.equal(shown("2023-07-10T11:42:36Z", "UTC"), "2023-07-10 11:42:36");
  assert.equal(shown("2023-07-10T11:42:36.25Z", "Europe/Berlin"), "2023-07-10 13:42:36.25");
  assert.equal(shown("2023-01-10T23:30:00Z", "Europe/Berlin"), "2023-01-11 00:30:00");
  assert.equal(shown("no time", "UTC"), "no time");
  for (const zone of ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]) {
    for (const time of ["2023-07-10T11:42:36Z", "2023-01-10T23:30:00Z", "2024-02-29T00:00:00Z"]) {
      assert.equal(meant(shown(time, zone), zone), time, `${time} ${zone}`);
    }
  }
  assert.equal(meant("2023-07-10", "UTC"), "2023-07-10T00:00:00Z");
  assert.equal(meant("2023-07-10 12:00Z", "Europe/Berlin"), "2023-07-10T12:00:00Z");
  for (const text of ["", "yesterday", "2023-02-30", "2023-07-10 25:00", "2023-7-1", "12:00"]) {
    assert.equal(meant(text, "UTC"), undefined, text);
  }
});

test("bars are as many as one sees, whatever the range", () => {
  for (const [length, expected] of [[60e3, "1s"], [3600e3, "30s"], [86400e3, "30m"], [30 * 86400e3, "6h"], [365 * 86400e3, "1w"], [20 * 365 * 86400e3, "1mo"]]) {
    assert.equal(width(length), expected, length);
  }
});

test("an axis has a handful of names, at whole times of its zone", () => {
  const start = Date.parse("2023-07-10T11:42:18Z");
  for (const length of [10e3, 3600e3, 86400e3, 30 * 86400e3, 3650 * 86400e3]) {
    const found = ticks(start, start + length, "Europe/Berlin");
    assert.ok(found.length >= 1 && found.length <= 12, `${length}: ${found.length}`);
  }
  assert.equal(ticks(start, start + 3600e3, "UTC")[0].text, "07-10 11:45");
});
