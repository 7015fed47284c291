import assert from "node:assert/strict";
import { test } from "node:test";

import { CHARACTERS_MAX, KEPT_MAX, NONE, arrived, dropped, released } from "../../../crates/web/page/core/arrivals.js";
import { Stream } from "../../../crates/web/page/core/sse.js";

const all = (pieces) => {
  const stream = new Stream();
  return pieces.flatMap((piece) => stream.push(piece));
};

test("events are read wherever the stream is cut", () => {
  const text = ': hello\n\nid: a\ndata: {"x":\ndata: 1}\n\nid: b\n\nevent: error\ndata:no space\r\ndata\r\n\r\nretry: 5\nid: c\ndata: é😀\r\rid: d\n\n';
  const whole = [
    { kind: "message", data: '{"x":\n1}', id: "a" },
    { kind: "message", data: null, id: "b" },
    { kind: "error", data: "no space\n", id: "b" },
    { kind: "message", data: "é😀", id: "c" },
    { kind: "message", data: null, id: "d" },
  ];
  assert.deepEqual(all([text]), whole);
  assert.deepEqual(all([...text]), whole, "by characters");
  for (let size = 2; size < 20; size += 1) {
    assert.deepEqual(all(text.match(new RegExp(`[^]{1,${size}}`, "gu"))), whole, `${size}`);
  }
  assert.deepEqual(all(["data: never ended\n"]), []);
});

test("an event has a bound", () => {
  const stream = new Stream();
  const piece = "x".repeat(1 << 20);
  stream.push("data: ");
  assert.throws(() => {
    for (let at = 0; at < 100; at += 1) stream.push(piece);
  }, /too large/);
  const lines = new Stream();
  assert.throws(() => {
    for (let at = 0; at < 100; at += 1) lines.push(`data: ${piece}\n`);
  }, /too large/);
});

const news = (from, count, length = 10) => Array.from({ length: count }, (_, at) => ({ hit: from + at, length }));
const hits = (list) => list.map(({ hit }) => hit);

test("what comes is on top, and waits while somebody reads", () => {
  let now = arrived(NONE, news(0, 2), false);
  assert.deepEqual(hits(now.shown), [1, 0]);
  now = arrived(now, news(2, 2), true);
  now = arrived(now, news(4, 1), true);
  assert.deepEqual([hits(now.shown), hits(now.waiting)], [[1, 0], [4, 3, 2]]);
  now = released(now);
  assert.deepEqual([hits(now.shown), hits(now.waiting), now.came, dropped(now)], [[4, 3, 2, 1, 0], [], 5, 0]);
});

test("so many are kept, and those that are not are counted", () => {
  let now = arrived(NONE, news(0, KEPT_MAX + 7), false);
  assert.equal(now.shown.length, KEPT_MAX);
  assert.deepEqual([now.shown[0].hit, dropped(now)], [KEPT_MAX + 6, 7]);
  // Large ones are fewer; the latest is kept, however large.
  now = arrived(NONE, news(0, 20, CHARACTERS_MAX / 8), false);
  assert.ok(now.shown.length > 5 && now.shown.length < 12, `${now.shown.length}`);
  assert.equal(now.shown.length + dropped(now), 20);
  assert.equal(arrived(NONE, news(0, 3, CHARACTERS_MAX * 2), false).shown.length, 1);
});

test("the list that one reads stands still, and has no hole behind it", () => {
  let now = arrived(NONE, news(0, 5), false);
  now = arrived(now, news(5, KEPT_MAX + 3), true);
  assert.deepEqual(hits(now.shown), [4, 3, 2, 1, 0]);
  assert.deepEqual([now.waiting.length, now.lost, dropped(now)], [KEPT_MAX, 3, 3]);
  now = released(now);
  // 5, 6 and 7 are lost, so what is older than they goes, too.
  assert.deepEqual([now.shown.at(-1).hit, now.shown.length, now.lost, dropped(now)], [8, KEPT_MAX, 0, 8]);
});
