import assert from "node:assert/strict";
import { test } from "node:test";

import { Digits, labels, member, parse, read, textOf, written } from "../../../crates/web/page/core/json.js";

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

test("a number that JavaScript would round keeps its digits, and any other is a number", () => {
  for (const text of ["9007199254740993", "-9007199254740993", "12345678901234567890", "0.12345678901234567890", "1e999", "1e300", "1e-400"]) {
    const [found] = parse(`[${text}]`);
    assert.ok(found instanceof Digits, text);
    assert.equal(`${found}`, text);
    assert.equal(written(found), text);
    assert.equal(written([found, { a: found, b: "x" }]), `[${text},{"a":${text},"b":"x"}]`);
  }
  for (const text of ["0", "-0.0", "5.0", "1.50", "12.034", "9007199254740991", "1e3", "2.5E-3", "0.1"]) {
    assert.equal(parse(`[${text}, "1e999"]`)[0], Number(text), text);
  }
  const document = '{"a":[true,null,"x\\u0041",1e999],"__proto__":{"p":1},"a":{"b":[]}}';
  assert.deepEqual(Object.entries(parse(document)).map(([key, value]) => [key, written(value)]), [["a", '{"b":[]}'], ["__proto__", '{"p":1}']]);
  assert.equal({}.p, undefined);
});

test("values that read alike are told apart", () => {
  const name = (values) => values.map(labels(values));
  assert.deepEqual(name(["5", "6", null]), ["5", "6", "(none)"]);
  assert.deepEqual(name([5, "5", "x", true, "true"]), ["5", '"5"', "x", "true", '"true"']);
  assert.deepEqual(name([null, "(none)"]), ["(none)", '"(none)"']);
  assert.deepEqual(name([new Digits("9007199254740993"), "9007199254740993"]), ["9007199254740993", '"9007199254740993"']);
});
