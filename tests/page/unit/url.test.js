import assert from "node:assert/strict";
import { test } from "node:test";

import { START, format, parse, takeToken } from "../../../crates/web/page/core/url.js";

test("a view survives its address", () => {
  for (const place of [
    START,
    { ...START, query: 'x = "a b|c&d=e#f?%+*[]()" OR é\n😀' },
    { ...START, range: "all", zone: "Europe/Berlin", order: "oldest", by: "actor" },
    { ...START, columns: ["ip", "time", '"a b"', "id"], widths: [['"a b"', 40], ["time", 1_600]] },
    { ...START, widths: [["ip", 77]] },
    { ...START, event: "a", other: "b", otherSource: "7 /c d.json" },
    { ...START, range: "2023-07-10T00:00:00Z..2023-07-11T00:00:00Z", columns: [...START.columns, "userAgent", '"a b"'], event: "3:57", source: "57 /a b/c.json.gz" },
  ]) {
    assert.deepEqual(parse(format(place)), place);
  }
  assert.equal(format(START), "#");
});

test("a ticket can hold an address", () => {
  const address = format({ ...START, query: "x:[1 TO 2] (a OR b) | top 5 *", event: "e" });
  assert.doesNotMatch(address, /[\s[\](){}<>"'*|+]/);
});

test("an address that says nonsense leads to the start", () => {
  for (const hash of ["", "#", "#x", "#t=never&z=Mars&o=up&by=", "#t=%ff&&&=&c=", "#__proto__=1"]) {
    assert.deepEqual(parse(hash), START, hash);
  }
  assert.equal(parse(`#${"c=a&".repeat(30)}c=b`).columns.length, START.columns.length + 2);
});

test("what an address names is a field, and no stage of a query", () => {
  const text = format({ ...START, by: "actor | limit 1", columns: [...START.columns, "a", "b | c", '"b | c"'] });
  assert.deepEqual([parse(text).by, parse(text).columns], [START.by, [...START.columns, "a", '"b | c"']]);
  assert.equal(parse("#s=1%20x").source, "", "no record without an event");
});

test("the token is taken out of the address, and the rest stays", () => {
  const token = "0123456789abcdef".repeat(4);
  assert.deepEqual(takeToken(`#token=${token}`), { token, rest: "" });
  assert.deepEqual(takeToken(`#token=${token}&q=a&e=b`), { token, rest: "#q=a&e=b" });
  assert.deepEqual(takeToken("#q=token"), { rest: "#q=token" });
  assert.deepEqual(takeToken("#token=<script>"), { rest: "#token=<script>" });
});
