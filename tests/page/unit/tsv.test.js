import assert from "node:assert/strict";
import { test } from "node:test";

import { Digits } from "../../../crates/web/page/core/json.js";
import { asTsv } from "../../../crates/web/page/core/tsv.js";

test("no text begins as a formula does, and a number stays one", () => {
  for (const [value, expected] of [
    ["=1+1", "'=1+1"], ["+x", "'+x"], ["-x", "'-x"], ["@SUM(1)", "'@SUM(1)"], ["\t=1", "' =1"], ["\r=1", "' =1"], ["\n=1", "' =1"],
    ["\uff1d1", "'\uff1d1"], ["\uff0b1", "'\uff0b1"], ["\uff0d1", "'\uff0d1"], ["\uff201", "'\uff201"],
    ["a=1", "a=1"], ["a\tb\nc", "a b c"], [-5, "-5"], [new Digits("-9007199254740993"), "-9007199254740993"], [true, "true"], [null, ""],
    // A spreadsheet takes the quotes away.
    ['"=1+1"', '"""=1+1"""'], ['a"b', '"a""b"'], [["=1", 2], '"[""=1"",2]"'],
  ]) {
    assert.equal(asTsv(["c"], [[value]]), `c\n${expected}`);
  }
});

test("a column's name is no formula either", () => {
  assert.equal(asTsv(["=x", "count"], [["a", 1], ["b", 2]]), "'=x\tcount\na\t1\nb\t2");
});
