import assert from "node:assert/strict";
import { test } from "node:test";

import { readFileSync } from "node:fs";

import {
  bare, baseOf, condition, errorSpan, fieldOf, fieldOfColumn, filled, indexOfByte, isField, narrowed, parametersOf, quote, replaced, split, stagesOf,
  unquoted, without,
} from "../../../crates/web/page/core/query.js";
import { OFFERED, STAGES, kindOf } from "../../../crates/web/page/core/stages.js";

test("a value in quotes keeps every character", () => {
  assert.equal(quote("a b"), '"a b"');
  assert.equal(quote('say "x"'), '"say \\"x\\""');
  assert.equal(quote("C:\\dir\\"), '"C:\\\\dir\\\\"');
  assert.equal(quote("a\nb:c|d(e)*?"), '"a\nb:c|d(e)*?"');
});

test("a path is bare only where it has one meaning", () => {
  assert.equal(fieldOf("eventName"), "eventName");
  assert.equal(fieldOf("requestParameters.bucketName"), "requestParameters.bucketName");
  for (const path of ["user", "__proto__", "constructor", "a b", "x:y", "requestParameters.aws:SourceVpc", "and", "requestParameters.x-"]) {
    const isBare = path === "requestParameters.x-";
    assert.equal(fieldOf(path), isBare ? path : `"${path}"`, path);
  }
  assert.equal(fieldOf('requestParameters.a"b\\'), '"requestParameters.a\\"b\\\\"');
});

test("a query is cut at its first pipe that is one", () => {
  for (const [query, filter, stages] of [
    ["", "", ""],
    ["a b", "a b", ""],
    ["errorCode:* | count", "errorCode:*", "| count"],
    ["a || b | count by x | limit 3", "a || b", "| count by x | limit 3"],
    ['x = "a | b" | count', 'x = "a | b"', "| count"],
    ["x = 'a | b' | count", "x = 'a | b'", "| count"],
    ["it's | count", "it's", "| count"],
    ["userAgent:/a|b/ | count", "userAgent:/a|b/", "| count"],
    ["/a\\/|b/i | count", "/a\\/|b/i", "| count"],
    ["a/b | count", "a/b", "| count"],
    ["a\\|b | count", "a\\|b", "| count"],
    ["key IN (x | values y) | count", "key IN (x | values y)", "| count"],
    ['x = "never closed | count', 'x = "never closed | count', ""],
    ["count by actor", "", "| count by actor"],
    ["top 5 ip | limit 2", "", "| top 5 ip | limit 2"],
    ["count:5", "count:5", ""],
    ["limit = 3", "limit = 3", ""],
    ["| count", "", "| count"],
    ["counting", "counting", ""],
    ["filter a OR b | count", "", "| filter a OR b | count"],
    ["where not a", "", "| where not a"],
    ["orderby time", "", "| orderby time"],
    ["count(*) by x", "", "| count(*) by x"],
    ["count OR x", "count OR x", ""],
    ["count || x", "count || x", ""],
    ['top "x"', "", '| top "x"'],
    // Within a word, a quote, a bracket or a slash is text.
    ["a\u201cb | count", "a\u201cb", "| count"],
    ["a:b:'c | count", "a:b:'c", "| count"],
    ["a[b | count", "a[b", "| count"],
    ["x:/a|b/&&y | count", "x:/a|b/&&y", "| count"],
    ["x >= 'a | b' | count", "x >= 'a | b'", "| count"],
    ["x != 'a | b' | count", "x != 'a | b'", "| count"],
    ["-'a | b' | count", "-'a | b'", "| count"],
    ["x:[1 TO '2|3'} | count", "x:[1 TO '2|3'}", "| count"],
    ["count by `a|b` | limit 3", "", "| count by `a|b` | limit 3"],
  ]) {
    assert.deepEqual(split(query), { filter, stages }, query);
  }
});

test("one more condition binds to all of the filter, and stands before the stages", () => {
  for (const [query, expected] of [
    ["", "C"],
    ["*", "C"],
    ["a", "a C"],
    ["a OR b", "(a OR b) C"],
    ["a or b", "(a or b) C"],
    ["a || b", "(a || b) C"],
    ["(a OR b)", "(a OR b) C"],
    ["x:(a OR b) c", "(x:(a OR b) c) C"],
    ["(a OR b) c", "(a OR b) c C"],
    ["(a) OR (b)", "((a) OR (b)) C"],
    ['"a OR b"', '"a OR b" C'],
    ["x:/a OR b/", "(x:/a OR b/) C"],
    ['a = "x" NOT b = "OR" -c:*', 'a = "x" NOT b = "OR" -c:* C'],
    ['"with.dot:x" = "y"', '"with.dot:x" = "y" C'],
    ["@2023-07-10 203.0.113.7", "@2023-07-10 203.0.113.7 C"],
    // An operator that touches what it joins.
    ['a OR"x"', '(a OR"x") C'],
    ['"a"OR b', '("a"OR b) C'],
    ['"a"or"b"', '("a"or"b") C'],
    ["(a)OR(b)", "((a)OR(b)) C"],
    ['/a/OR"b"', '(/a/OR"b") C'],
    ["a||b", "(a||b) C"],
    ["a OR\u201cx\u201d", "(a OR\u201cx\u201d) C"],
    ["a\nOR\tb", "(a\nOR\tb) C"],
    ["a\u00a0OR\u00a0b", "(a\u00a0OR\u00a0b) C"],
    // What would take the condition for its own.
    ["a NOT", "(a NOT) C"],
    ["a -", "(a -) C"],
    ["a:", "(a:) C"],
    ["a: OR", "(a: OR) C"],
    ["x IN [a, b]", "(x IN [a, b]) C"],
    ["time > 2 days ago", "time > 2 days ago C"],
    ["a) OR (b", "a) OR (b C"],
    ["filter a OR b", "C | filter a OR b"],
    ["for orders", "for orders C"],
    ["a | count by b", "a C | count by b"],
    ["a OR b | count", "(a OR b) C | count"],
    ["count by b", "C | count by b"],
  ]) {
    assert.equal(narrowed(query, "C"), expected, query);
  }
});

test("what is counted beside an answer is filtered as the answer is", () => {
  for (const [query, filter, isCut] of [
    ["", "", false],
    ["a | count by b", "a", false],
    ["a | filter b OR c | sort time | where d | count by b | filter count > 3", "a (b OR c) d", false],
    ["a OR b | filter c", "(a OR b) c", false],
    ["filter a OR b", "(a OR b)", false],
    ["* | dedup actor", "*", true],
    ["a | head 5 | count", "a", true],
    ["a | top 3 b", "a", true],
    ["filter count | count", "(count)", false],
    ["a | count by b | limit 5", "a", false],
  ]) {
    assert.deepEqual(baseOf(query), { filter, isCut }, query);
  }
});

test("a column leads to the field that its stage names, and to no other", () => {
  for (const [query, column, field] of [
    ["* | count by actor", "actor", "actor"],
    ["* | count by actor", "count", undefined],
    ['* | count by "user"', "user", '"user"'],
    ['* | count by "a b", x', "a b", '"a b"'],
    ['* | count by "a\\"b"', 'a"b', '"a\\"b"'],
    ["* | stats count by region as actor", "actor", undefined],
    ["* | stats count by actor = region", "actor", undefined],
    ["* | stats first(time) as user by actor", "user", undefined],
    ["* | stats first, last by actor", "first", undefined],
    ["* | stats count by bin(1d), net(ip, 24)", "time", undefined],
    ["* | top 3 service, userAgent", "service", "service"],
    ["* | top limit=3 action by actor", "action", "action"],
    ["* | rare action limit=3", "action", "action"],
    ["* | values a.b", "a.b", "a.b"],
    ["* | fields time, user", "user", "user"],
    ["* | count by region as user | fields user", "user", undefined],
    ["count by actor", "actor", "actor"],
    ["* | timeline 1h by service", "service", "service"],
    ["* | count by `a b`", "a b", undefined],
    ["* | count by x\\ y", "x y", undefined],
    ["a", "a", undefined],
  ]) {
    assert.equal(fieldOfColumn(query, column), field, `${query}: ${column}`);
  }
});

test("a name is a name, whoever wrote it", () => {
  for (const name of ["actor", "@timestamp", "a.b-c", "\u00e9t\u00e9", '"a b"', '"x | limit 1"']) assert.ok(isField(name), name);
  for (const text of ["", "a b", "a|b", "a,b", "a | limit 1", '"', '""', '"a" | limit 1, "b"', "a)", "1a", '"a\\"']) assert.ok(!isField(text), text);
  assert.equal(unquoted('"a\\"b\\\\"'), 'a"b\\');
  assert.equal(unquoted('a"'), undefined);
});

test("the stages are those of the language", () => {
  const source = readFileSync("crates/language/src/parse/stage.rs", "utf8");
  const table = (/** @type {string} */ name) => /** @type {string} */ (new RegExp(`const ${name}.*?= \\[(.*?)\\];`, "s").exec(source)?.[1]);
  const ours = [...table("STAGES").matchAll(/"(\w+)"/g)].map((match) => match[1]);
  const aliases = [...table("ALIASES").matchAll(/\("(\w+)", "(\w+)"\)/g)];
  assert.ok(ours.length > 10 && aliases.length > 10);
  assert.deepEqual(Object.keys(STAGES).sort(), [...new Set([...ours, ...aliases.map((match) => match[1])])].sort());
  for (const [, alias, stage] of aliases) if (alias !== stage) assert.equal(kindOf(alias), kindOf(stage), alias);
  assert.ok(OFFERED.every((name) => Object.hasOwn(STAGES, name)));
  assert.equal(kindOf("constructor"), undefined);
  assert.deepEqual(stagesOf("a | Count by b | nothing | limit 3").map(({ name, kind }) => [name, kind]), [["count", "rows"], ["nothing", undefined], ["limit", "cut"]]);
});

test("a value is kept or left out, and so is none", () => {
  assert.equal(condition("actor", "a:b"), 'actor = "a:b"');
  assert.equal(condition("error", null), "NOT error:*");
  assert.equal(without("a", "actor", "x"), 'a NOT actor = "x"');
  assert.equal(without("", "error", null), "error:*");
});

test("an error's byte is found behind characters of several bytes", () => {
  assert.equal(indexOfByte("aé日😀b", 0), 0);
  assert.equal(indexOfByte("aé日😀b", 3), 2);
  assert.equal(indexOfByte("aé日😀b", 6), 3);
  assert.equal(indexOfByte("aé日😀b", 10), 5);
  assert.equal(indexOfByte("ab", 9), 2);
  assert.deepEqual(errorSpan("é eventNam:x", 3), [2, 10]);
  assert.deepEqual(errorSpan("a (", 3), [2, 3]);
});

test("a condition is replaced where it stands, and nowhere else", () => {
  for (const [query, expected] of [
    ["a x:b c", "a NEW c"],
    ["(x:b)", "(NEW)"],
    ["x:bc x:b | count", "x:bc NEW | count"],
    ["-x:b", "-NEW"],
    ['y = "x:b" OR x:b', 'y = "x:b" OR NEW'],
    ['y = " x:b "', undefined],
    ["x:b OR x:b", undefined],
    ["ax:b", undefined],
  ]) {
    assert.equal(replaced(query, "x:b", "NEW"), expected, query);
  }
});

test("the value of a parameter has no meaning but itself", () => {
  for (const [value, expected] of [
    ["CreateUser", "CreateUser"],
    ["192.168.0.0/16", "192.168.0.0/16"],
    ["a b", "a\\ b"],
    ["a*", "a\\*"],
    ['x" OR y', 'x\\"\\ OR\\ y'],
    ["-x", "\\-x"],
    ["/x/", "\\/x/"],
    ["or", "\\or"],
    ["null", "\\null"],
    ["a|b)", "a\\|b\\)"],
    ["", '""'],
  ]) {
    assert.equal(bare(value), expected, value);
  }
});

test("parameters are found where the language takes them, and filled", () => {
  const query = 'eventName:$action ip:$from x = "$no" y:/$no/ a$no \\$no $action | top 5 actor';
  assert.deepEqual(parametersOf(query), ["action", "from"]);
  assert.equal(
    filled(query, { action: "a b", from: "10.0.0.0/8" }),
    'eventName:a\\ b ip:10.0.0.0/8 x = "$no" y:/$no/ a$no \\$no a\\ b | top 5 actor',
  );
});
