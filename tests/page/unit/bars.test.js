import assert from "node:assert/strict";
import { test } from "node:test";

import { barAt, widthName } from "../../../crates/web/page/core/bars.js";

const at = (time, width, zone) => barAt(Date.parse(time), width, zone).map((ms) => new Date(ms).toISOString().replace(".000Z", "Z"));

test("a bar is as long as the clocks of its zone make it", () => {
  for (const [width, zone, time, begin, end] of [
    ["5m", "UTC", "2023-07-10T12:44:59Z", "2023-07-10T12:40:00Z", "2023-07-10T12:45:00Z"],
    ["1h", "Asia/Kolkata", "2023-07-10T12:44:00Z", "2023-07-10T12:30:00Z", "2023-07-10T13:30:00Z"],
    ["6h", "Europe/Berlin", "2023-07-10T12:00:00Z", "2023-07-10T10:00:00Z", "2023-07-10T16:00:00Z"],
    // The hour that comes twice is two; of several hours there is one, and it is longer or shorter.
    ["1h", "Europe/Berlin", "2023-10-29T00:30:00Z", "2023-10-29T00:00:00Z", "2023-10-29T01:00:00Z"],
    ["1h", "Europe/Berlin", "2023-10-29T01:30:00Z", "2023-10-29T01:00:00Z", "2023-10-29T02:00:00Z"],
    ["6h", "Europe/Berlin", "2023-10-29T04:30:00Z", "2023-10-28T22:00:00Z", "2023-10-29T05:00:00Z"],
    ["6h", "Europe/Berlin", "2023-03-26T03:30:00Z", "2023-03-25T23:00:00Z", "2023-03-26T04:00:00Z"],
    ["1d", "UTC", "2023-07-10T12:44:59Z", "2023-07-10T00:00:00Z", "2023-07-11T00:00:00Z"],
    // Days of 23 and of 25 hours.
    ["1d", "Europe/Berlin", "2023-03-26T12:00:00Z", "2023-03-25T23:00:00Z", "2023-03-26T22:00:00Z"],
    ["1d", "Europe/Berlin", "2023-10-29T12:00:00Z", "2023-10-28T22:00:00Z", "2023-10-29T23:00:00Z"],
    // A day that begins at one o'clock.
    ["1d", "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"],
    ["1w", "UTC", "2023-07-16T23:59:59Z", "2023-07-10T00:00:00Z", "2023-07-17T00:00:00Z"],
    ["1w", "UTC", "1969-12-31T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-05T00:00:00Z"],
    ["1mo", "UTC", "2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"],
    ["1mo", "America/New_York", "2023-03-31T12:00:00Z", "2023-03-01T05:00:00Z", "2023-04-01T04:00:00Z"],
    ["3mo", "America/New_York", "2024-01-01T04:59:00Z", "2023-10-01T04:00:00Z", "2024-01-01T05:00:00Z"],
  ]) {
    assert.deepEqual(at(time, width, zone), [begin, end], `${width} ${zone} ${time}`);
  }
});

test("a bar that begins where the one before ends is the next", () => {
  for (const width of ["30m", "6h", "1d", "1w", "1mo"]) {
    let ms = Date.parse("2023-02-20T00:00:00Z");
    for (let count = 0; count < 60; count += 1) {
      const [begin, end] = barAt(ms, width, "Europe/Berlin");
      assert.ok(begin <= ms && ms < end, width);
      assert.equal(barAt(end, width, "Europe/Berlin")[0], end, width);
      ms = end;
    }
  }
});

test("a width is said in words", () => {
  assert.deepEqual(["1s", "30m", "1h", "1w", "1mo"].map(widthName), ["1 second", "30 minutes", "1 hour", "1 week", "1 month"]);
});
