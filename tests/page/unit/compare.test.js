import assert from "node:assert/strict";
import { test } from "node:test";

import { compared, leavesOf, told } from "../../../crates/web/page/core/compare.js";
import { read } from "../../../crates/web/page/core/json.js";

/** What two records differ in, as short as it can be written. */
function check(first, second) {
  const { differences, equal } = compared(read(first), read(second));
  const texts = (leaves) => leaves.map(told).join(" ");
  return [differences.map(({ path, left, right, both }) => `${path}: ${texts(left)} | ${texts(right)}${both ? ` +${both}` : ""}`), equal.map(({ path }) => path)];
}

test("records differ by the values at their paths", () => {
  assert.deepEqual(check('{"a":1,"b":{"c":"x","d":null},"e":"y"}', '{"a":1,"b":{"c":"z","d":null},"f":"y"}'), [
    ["b.c: x | z", "e: y | ", "f:  | y"],
    ["a", "b.d"],
  ]);
  assert.deepEqual(check("{}", "{}"), [[], []]);
});

test("a number is no text, and a number keeps its digits", () => {
  assert.deepEqual(check('{"a":5}', '{"a":"5"}')[0], ['a: 5 | "5"']);
  assert.deepEqual(check('{"a":9007199254740992}', '{"a":9007199254740993}')[0], ["a: 9007199254740992 | 9007199254740993"]);
  assert.deepEqual(check('{"a":true,"b":""}', '{"a":"true","b":null}')[0], ['a: true | "true"', 'b: "" | null']);
});

test("the order in a list is no difference, and how often a value is there is one", () => {
  assert.deepEqual(check('{"a":["x","y"]}', '{"a":["y","x"]}'), [[], ["a"]]);
  assert.deepEqual(check('{"a":["x","x","y"]}', '{"a":["x","z"]}')[0], ["a: x y | z +1"]);
  assert.deepEqual(check('{"a":[{"n":1},{"n":2}]}', '{"a":[{"n":2},{"n":3}]}')[0], ["a.n: 1 | 3 +1"]);
});

test("what is empty is not what is missing", () => {
  assert.deepEqual(check('{"a":{},"b":[]}', '{"b":{}}')[0], ["a: {} | ", "b: [] | {}"]);
});

test("odd keys are paths like others", () => {
  assert.deepEqual(check('{"__proto__":"a","constructor":"b","x y":1,"d":1,"d":2}', '{"__proto__":"c","constructor":"b","x y":1,"d":1}')[0], ["__proto__: a | c", "d: 2 |  +1"]);
  assert.equal(leavesOf(read('{"__proto__":{"polluted":1}}')).get("__proto__.polluted")?.length, 1);
  assert.equal({}.polluted, undefined);
});
