import assert from "node:assert/strict";
import { test } from "node:test";

import { Digits } from "../../../crates/web/page/core/json.js";
import { parts, share, shortened, thousands, visible } from "../../../crates/web/page/core/text.js";

test("what hides, reorders or drives is shown by its code", () => {
  for (const [text, expected] of [
    ["plain é 日本 😀", "plain é 日本 😀"],
    ["a\u202eb", "a\\u{202e}b"],
    ["ro\u200bot", "ro\\u{200b}ot"],
    ["\u001b[2J\u009b31m\u007f", "\\u{1b}[2J\\u{9b}31m\\u{7f}"],
    ["a\nb\tc\r", "a\\nb\\tc\\r"],
    ["root\u{e0041}", "root\\u{e0041}"],
    ["\ufeff\u2066x\u2069a\u00a0b\u3164\ufe0f\u2028\u00ad", "\\u{feff}\\u{2066}x\\u{2069}a\\u{a0}b\\u{3164}\\u{fe0f}\\u{2028}\\u{ad}"],
    ["\ud800", "\\u{d800}"],
    ["<script>alert(1)</script>", "<script>alert(1)</script>"],
  ]) {
    assert.equal(visible(text), expected);
    assert.equal(parts(text).map((part) => part.text).join(""), expected);
  }
  assert.deepEqual(parts("a\u202e"), [{ text: "a", isCode: false }, { text: "\\u{202e}", isCode: true }]);
  assert.deepEqual(parts(""), []);
});

test("a text is cut between its characters", () => {
  assert.deepEqual(shortened("abc", 3), ["abc", 0]);
  assert.deepEqual(shortened("abcd", 3), ["abc", 1]);
  assert.deepEqual(shortened("ab😀c", 3), ["ab", 3]);
});

test("a share says when it is next to nothing", () => {
  assert.equal(share(1, 42), "2.4 %");
  assert.equal(share(1, 10_000), "<0.1 %");
  assert.equal(share(42, 42), "100 %");
  assert.equal(share(1, 0), "");
});

test("a number keeps all of its digits", () => {
  for (const [value, expected] of [[0, "0"], [1234567, "1,234,567"], [1234.56789, "1,234.56789"], [-0.1234567, "-0.1234567"], [-1234.5, "-1,234.5"], [1e-7, "1e-7"], [1.5e-7, "1.5e-7"]]) {
    assert.equal(thousands(value), expected);
  }
  assert.equal(thousands(new Digits("9007199254740993")), "9007199254740993");
});
