import assert from "node:assert/strict";
import { test } from "node:test";

import { member, read, textOf } from "../../../crates/web/page/core/json.js";

test("numbers and repeated keys are as they stand", () => {
  const document = '{"a":9007199254740993,"b":1.50,"a":"x","__proto__":{"c":[1e999,null,true]},"constructor":1}';
  const node = read(document);
  assert.deepEqual(node.entries.map(([key, value]) => [key, textOf(value, document)]), [
    ["a", "9007199254740993"],
    ["b", "1.50"],
    ["a", "x"],
    ["__proto__", '{"c":[1e999,null,true]}'],
    ["constructor", "1"],
  ]);
  assert.equal(textOf(member(node, "a"), document), "x");
  assert.equal(member(node, "toString"), undefined);
  assert.equal({}.c, undefined);
});

test("strings are read with their escapes, and spaces do not count", () => {
  const node = read(' [ "a\\"\\\\" , "\\u202e\\n" , { } , [ ] ] ');
  assert.deepEqual(node.items.map((item) => item.text ?? item.kind), ['a"\\', "\u202e\n", "object", "array"]);
});

test("what is no JSON is refused", () => {
  for (const text of ["", "{", "[1,]", '{"a"}', '{"a":}', '"a', '"a\\"', "nul", "1 2", "[1}", "{a:1}", "[".repeat(500)]) {
    assert.throws(() => read(text), SyntaxError, text.slice(0, 20));
  }
});
