// How the tail goes on: with a daemon whose streams say and break what the test has them.

import assert from "node:assert/strict";
import { test } from "node:test";

/** Streams that were asked for. @type {{cursor: string | null, q: string, answer: (status?: number, body?: any, warnings?: string) => void, say: (text: string) => void, end: () => void, signal: AbortSignal}[]} */
const asked = [];
globalThis.localStorage = { getItem: () => null, setItem: () => {} };
globalThis.document = { title: "" };
globalThis.location = { hash: "", origin: "http://127.0.0.1:8457", pathname: "/", search: "" };
globalThis.history = { pushState: () => {}, replaceState: () => {} };
globalThis.fetch = (path, { signal }) =>
  new Promise((resolve, reject) => {
    const said = new URL(path, "http://x").searchParams;
    let control;
    const body = new ReadableStream({ start: (given) => (control = given) });
    const broken = () => {
      reject(signal.reason);
      try {
        control.error(signal.reason);
      } catch {
        // It has ended.
      }
    };
    signal.addEventListener("abort", broken);
    asked.push({
      q: said.get("q"), cursor: said.get("cursor"), signal,
      answer: (status = 200, error = undefined, warnings = undefined) => resolve({ ok: status === 200, body, headers: { get: () => warnings ?? null }, text: async () => JSON.stringify(error) }),
      say: (text) => control.enqueue(new TextEncoder().encode(text)),
      end: () => control.close(),
    });
  });

const state = await import("../../../crates/web/page/core/state.js");
const tail = await import("../../../crates/web/page/core/tail.js");
const { START } = await import("../../../crates/web/page/core/url.js");

/** Waits until something is so. */
async function until(what) {
  for (let tries = 0; tries < 400; tries += 1) {
    if (what()) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail(String(what));
}
const next = async (count) => {
  await until(() => asked.length === count);
  return asked[count - 1];
};
const shown = () => tail.arrivals.value.shown.map(({ hit }) => hit.meta.id);
const sent = (id) => `id: c-${id}\ndata: {"event":{},"meta":{"id":"${id}"}}\n\n`;

test("a stream that breaks is asked for again behind the last event, and says what may be missing", async () => {
  state.status.value = { events: {} };
  state.place.value = { ...START, view: "tail", query: "a" };
  tail.start();
  let stream = await next(1);
  assert.deepEqual([stream.q, stream.cursor], ["a", null]);
  stream.answer(200, undefined, '["how it was taken"]');
  stream.say(`id: c-0\n\n${sent(1)}`);
  await until(() => shown().length === 1);
  assert.deepEqual(tail.tailing.value.warnings, ["how it was taken"]);
  // An event is open: others wait.
  state.place.value = { ...state.place.value, event: "1" };
  stream.say(sent(2).slice(0, 20));
  stream.say(sent(2).slice(20));
  await until(() => tail.arrivals.value.waiting.length === 1);
  assert.deepEqual(shown(), ["1"]);
  state.place.value = { ...state.place.value, event: "" };
  assert.deepEqual(shown(), ["2", "1"]);
  stream.end();
  await until(() => tail.tailing.value.state === "broken");
  stream = await next(2);
  assert.equal(stream.cursor, "c-2");
  stream.answer();
  stream.say(sent(3));
  await until(() => shown().length === 3);
  assert.deepEqual(tail.tailing.value.misses, [], "nothing is missing");
  // The daemon itself says that it cannot go on there.
  stream.say('event: error\ndata: {"error":{"kind":"gone","message":"made anew"}}\n\n');
  stream = await next(3);
  assert.equal(stream.cursor, null);
  stream.answer();
  await until(() => tail.tailing.value.misses.length === 1);
  stream.say("id: d-0\n\n");
  // Another query ends it.
  state.place.value = { ...state.place.value, query: "b" };
  stream = await next(4);
  assert.ok(asked[2].signal.aborted);
  assert.deepEqual([stream.q, stream.cursor, shown(), tail.tailing.value.misses], ["b", null, [], []]);
  stream.answer(400, { error: { kind: "bad-query", message: "no" } });
  await until(() => tail.tailing.value.state === "refused");
  // What is refused is not asked again; another view asks nothing.
  state.place.value = { ...state.place.value, view: "events" };
  await new Promise((done) => setTimeout(done, 1_200));
  assert.equal(asked.length, 4);
  assert.equal(tail.tailing.value.state, "off");
});
