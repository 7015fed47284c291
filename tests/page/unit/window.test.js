import assert from "node:assert/strict";
import { test } from "node:test";

import { DRAWN_MAX, drawn, scrolledBy } from "../../../crates/web/page/core/window.js";

test("a list of some hundreds is drawn as a whole", () => {
  assert.deepEqual(drawn([0, 0], 300, 0, 30), [0, 300]);
  const before = /** @type {[number, number]} */ ([0, DRAWN_MAX]);
  assert.equal(drawn(before, DRAWN_MAX, 0, 30), before);
});

test("of a long list the rows in sight are drawn, wherever one is", () => {
  for (const count of [1_001, 1_500, 20_000]) {
    /** @type {[number, number]} */
    let now = [0, DRAWN_MAX];
    for (let first = 0; first < count; first += 37.5) {
      const last = Math.min(first + 40, count);
      const next = drawn(now, count, first, last);
      assert.ok(next[0] <= first && next[1] >= last, `${next} has not ${first} to ${last} of ${count}`);
      assert.ok(next[0] >= 0 && next[1] <= count && (next === now || next[1] - next[0] < 300), `${next}`);
      assert.equal(drawn(next, count, first, last), next, "it is settled");
      now = next;
    }
    assert.deepEqual(drawn([0, 200], count, count + 5, count + 45).at(-1), count, "behind the end");
  }
});

test("a list that has become shorter is drawn to its end", () => {
  assert.deepEqual(drawn([5_000, 5_200], 1_200, 1_160, 1_200), [1_080, 1_200]);
});

test("a row is brought into sight, and no further", () => {
  assert.equal(scrolledBy(-100, 20, 500), -100);
  assert.equal(scrolledBy(0, 20, 500), 0);
  assert.equal(scrolledBy(480, 20, 500), 0);
  assert.equal(scrolledBy(490, 20, 500), 10);
});
