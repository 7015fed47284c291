import assert from "node:assert/strict";
import { test } from "node:test";

const { CHARACTERS_MAX, KEPT_MAX, QUERY_MAX, added, readQueries, stepped } = await import("../../../crates/web/page/core/history.js");

test("a query moves to the front, and is there once", () => {
  assert.deepEqual(added(["a", "b"], "c"), ["c", "a", "b"]);
  assert.deepEqual(added(["a", "b"], "b"), ["b", "a"]);
  assert.deepEqual(added(["a"], ""), ["a"]);
});

test("queries are kept within bounds", () => {
  const many = Array.from({ length: KEPT_MAX }, (_, at) => `q${at}`);
  const more = added(many, "new");
  assert.equal(more.length, KEPT_MAX);
  assert.deepEqual([more[0], more.at(-1)], ["new", `q${KEPT_MAX - 2}`]);
  assert.deepEqual(added(["a"], "x".repeat(QUERY_MAX + 1)), ["a"]);
  const long = Array.from({ length: 100 }, (_, at) => String(at).padEnd(QUERY_MAX, "x"));
  const kept = long.reduce((all, query) => added(all, query), /** @type {string[]} */ ([]));
  assert.equal(kept.length, CHARACTERS_MAX / QUERY_MAX);
});

test("what a browser has kept may be anything", () => {
  for (const text of [null, "", "x", "{}", "null", "1", '{"length":3}']) assert.deepEqual(readQueries(text), []);
  assert.deepEqual(readQueries(JSON.stringify(["a", 1, null, "", ["b"], "a", "<b>", "x".repeat(QUERY_MAX + 1)])), ["a", "<b>"]);
});

test("a walk leads back to the text that it began with", () => {
  const all = ["c", "b", "a"];
  const first = stepped(null, "draft", all, 1);
  assert.deepEqual(first, { draft: "draft", at: 0, text: "c" });
  const second = stepped(first, "c", all, 1);
  assert.equal(second.text, "b");
  assert.equal(stepped(stepped(second, "b", all, 1), "a", all, 1), undefined, "that was the oldest");
  assert.equal(stepped(second, "b", all, -1).text, "c");
  assert.equal(stepped(first, "c", all, -1).text, "draft");
  assert.equal(stepped(null, "draft", all, -1), undefined);
});

test("a walk begins anew where its text was changed, and does not stand still", () => {
  const walk = stepped(null, "", ["c", "b"], 1);
  assert.deepEqual(stepped(walk, "c and more", ["c", "b"], 1), { draft: "c and more", at: 0, text: "c" });
  assert.equal(stepped(null, "c", ["c", "b"], 1).text, "b", "the first is what stands there");
  assert.equal(stepped(null, "c", ["c"], 1), undefined);
});
