import assert from "node:assert/strict";
import { test } from "node:test";

import {
  bare, condition, errorSpan, fieldOf, filled, indexOfByte, narrowed, parametersOf, quote, split, without,
} from "../../../crates/web/page/core/query.js";

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
    ["x:(a OR b) c", "x:(a OR b) c C"],
    ['"a OR b"', '"a OR b" C'],
    ["x:/a OR b/", "x:/a OR b/ C"],
    ["for orders", "for orders C"],
    ["a | count by b", "a C | count by b"],
    ["a OR b | count", "(a OR b) C | count"],
    ["count by b", "C | count by b"],
  ]) {
    assert.equal(narrowed(query, "C"), expected, query);
  }
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
