// What the page asks, with a daemon that answers when the test says so.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

/** Requests that wait for their answer. @type {{path: string, body: any, token: string, answer: (value: any, status?: number) => void}[]} */
let waiting = [];

const stored = new Map();
globalThis.localStorage = {
  getItem: (key) => stored.get(key) ?? null,
  setItem: (key, value) => void stored.set(key, String(value)),
};
globalThis.document = { title: "" };
globalThis.location = { hash: "", origin: "http://127.0.0.1:8457", pathname: "/", search: "" };
const go = (_state, _title, address) => (location.hash = address.includes("#") ? address.slice(address.indexOf("#")) : "");
globalThis.history = { pushState: go, replaceState: go };
/** @type {Record<string, (event?: any) => void>} */
const heard = {};
globalThis.addEventListener = (name, listener) => (heard[name] = listener);
globalThis.fetch = (path, { body, headers, signal }) =>
  new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
    const answer = (value, status = 200) => resolve({ ok: status === 200, text: async () => (typeof value === "string" ? value : JSON.stringify(value)) });
    waiting.push({ path, body: body && JSON.parse(body), token: headers.authorization?.slice(7) ?? "", answer, signal });
  });

const state = await import("../../../crates/web/page/core/state.js");
const searches = await import("../../../crates/web/page/core/searches.js");
const { START } = await import("../../../crates/web/page/core/url.js");

const settle = () => new Promise((done) => setImmediate(done));

/** The request that a test expects, taken out of those that wait. */
async function asked(wanted) {
  for (let tries = 0; tries < 20; tries += 1) {
    const at = waiting.findIndex((one) => !one.signal?.aborted && wanted(one));
    if (at >= 0) return waiting.splice(at, 1)[0];
    await settle();
  }
  assert.fail(`not asked; waiting: ${waiting.map(({ path, body }) => `${path} ${body?.query}`)}`);
}
const query = (text) => asked(({ body }) => body?.query.includes(text));
const table = (rows, columns = ["time", "x", "count"]) => ({ hits: [], table: { columns, rows, rows_total: rows.length, exact: true }, total: { value: 9, exact: true }, took_ms: 1 });

const STATUS = { events: { indexed: 9, first: "2023-07-10T00:00:00Z", last: "2023-07-10T11:59:59Z" } };
const main = { hits: [], total: { value: 9, exact: true }, took_ms: 1 };
const UNAUTHORIZED = { error: { kind: "unauthorized", message: "no" } };

let isStarted = false;
beforeEach(async () => {
  waiting = [];
  state.status.value = STATUS;
  state.place.value = { ...START, query: "a" };
  if (isStarted) state.round.value += 1;
  else searches.start();
  isStarted = true;
  (await query("a")).answer(main);
});
afterEach(() => (searches.wanted.value = {}));

test("a slow answer never takes the place of a later one: the timeline", async () => {
  const first = await query("by outcome");
  state.place.value = { ...state.place.value, by: "actor" };
  const second = await query("by actor");
  second.answer(table([["2023-07-10T01:00:00Z", "alice", 2]]));
  await settle();
  assert.deepEqual(searches.timeline.value?.values, ["alice"]);
  first.answer(table([["2023-07-10T01:00:00Z", "denied", 2]]));
  await settle();
  assert.deepEqual(searches.timeline.value?.values, ["alice"]);
  assert.equal(searches.timeline.value?.isBusy, false);
});

test("a slow answer never takes the place of a later one: the values of a field", async () => {
  searches.wanted.value = { actor: { limit: 6, search: "" } };
  const first = await query("count by actor");
  searches.wanted.value = { actor: { limit: 60, search: "x" } };
  const second = await query("filter actor:/.*x.*/i");
  second.answer(table([["xenia", 2]], ["actor", "count"]));
  await settle();
  first.answer(table([["alice", 2]], ["actor", "count"]));
  await settle();
  assert.deepEqual(searches.facets.value.actor.rows, [["xenia", 2]]);
});

test("a slow answer never takes the place of a later one: the list", async () => {
  state.place.value = { ...state.place.value, query: "first" };
  const first = await query("first");
  state.place.value = { ...state.place.value, query: "second" };
  (await query("second")).answer({ ...main, total: { value: 2, exact: true } });
  await settle();
  first.answer({ ...main, total: { value: 1, exact: true } });
  await settle();
  assert.deepEqual([searches.answer.value.query, searches.answer.value.total?.value], ["second", 2]);
});

test("what is counted beside the list is filtered by the stages, too", async () => {
  searches.wanted.value = { actor: { limit: 6, search: "" } };
  state.place.value = { ...state.place.value, query: "a OR b | filter c | dedup actor" };
  (await query("dedup")).answer(main);
  assert.match((await query("timeline")).body.query, /^\(a OR b\) c \| timeline /);
  const facet = await query("count by actor");
  assert.equal(facet.body.query, "(a OR b) c | count by actor");
  facet.answer(table([["alice", 2]], ["actor", "count"]));
  await settle();
  assert.equal(searches.facets.value.actor.total, 9);
  assert.equal(searches.answer.value.isCut, true);
});

test("a link has the times of what is shown, and not those of the click", async (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-01-02T03:00:00Z") });
  for (const [range, expected] of [
    ["-1h", "2026-01-02T02:00:00Z..2026-01-02T03:00:00Z"],
    ["end-1h", "2023-07-10T11:00:00Z..2023-07-10T12:00:00Z"],
  ]) {
    context.mock.timers.setTime(Date.parse("2026-01-02T03:00:00Z"));
    state.status.value = STATUS;
    state.place.value = { ...state.place.value, range };
    (await query("a")).answer(main);
    context.mock.timers.setTime(Date.parse("2026-01-02T09:00:00Z"));
    state.status.value = { events: { ...STATUS.events, last: "2023-07-10T20:00:00Z" } };
    assert.equal(new URLSearchParams(searches.lastingLink().split("#")[1]).get("t"), expected);
  }
});

test("a coverage that is not known is told, and what is known stops that", async () => {
  (await asked(({ path }) => path.startsWith("/v1/coverage"))).answer({ error: { kind: "internal", message: "no picture" } }, 500);
  await settle();
  assert.equal(searches.gapsError.value, "no picture");
  state.round.value += 1;
  (await query("a")).answer(main);
  (await asked(({ path }) => path.startsWith("/v1/coverage"))).answer({ gaps: [] });
  await settle();
  assert.equal(searches.gapsError.value, "");
});

test("a number of a table that is too long for JavaScript keeps its digits", async () => {
  state.place.value = { ...state.place.value, query: "a | count by big" };
  (await query("a | count by big")).answer('{"hits":[],"table":{"columns":["big","count"],"rows":[[9007199254740993,1]],"rows_total":1,"exact":true},"total":{"value":1,"exact":true},"took_ms":1.5}');
  await settle();
  assert.equal(`${searches.answer.value.table?.rows[0][0]}`, "9007199254740993");
});

const GOOD = "a".repeat(64);
const FOREIGN = "b".repeat(64);
const status = (token) => asked((one) => one.path === "/v1/status" && one.token === token);

test("a link with another token does not shut out who is let in", async () => {
  stored.set("traildex-token", GOOD);
  location.hash = `#token=${FOREIGN}&q=z`;
  state.start();
  assert.equal(location.hash, "#q=z", "the token leaves the address at once");
  (await status(FOREIGN)).answer(UNAUTHORIZED, 401);
  (await status(GOOD)).answer(STATUS);
  await settle();
  assert.equal(stored.get("traildex-token"), GOOD);
  assert.equal(state.isLocked.value, false);
  assert.equal(state.place.value.query, "z");
});

test("a token that is let in takes the place of an old one, and of none", async () => {
  for (const old of [GOOD, undefined]) {
    stored.clear();
    if (old) stored.set("traildex-token", old);
    state.isLocked.value = true;
    location.hash = `#token=${FOREIGN}`;
    heard.hashchange();
    (await status(FOREIGN)).answer(STATUS);
    await settle();
    assert.equal(stored.get("traildex-token"), FOREIGN);
    assert.equal(state.isLocked.value, false);
  }
});

test("a question with the token before is asked again with the new one", async () => {
  stored.set("traildex-token", GOOD);
  state.isLocked.value = false;
  state.round.value += 1;
  const old = await asked(({ body, token }) => body?.query === "a" && token === GOOD);
  stored.set("traildex-token", FOREIGN);
  old.answer(UNAUTHORIZED, 401);
  (await asked(({ body, token }) => body?.query === "a" && token === FOREIGN)).answer({ ...main, total: { value: 7, exact: true } });
  await settle();
  assert.equal(state.isLocked.value, false);
  assert.equal(searches.answer.value.total?.value, 7);
});

test("with no token that is let in the page is locked", async () => {
  stored.clear();
  location.hash = `#token=${FOREIGN}`;
  heard.hashchange();
  (await status(FOREIGN)).answer(UNAUTHORIZED, 401);
  (await status("")).answer(UNAUTHORIZED, 401);
  await settle();
  assert.equal(stored.get("traildex-token"), undefined);
  assert.equal(state.isLocked.value, true);
  process.exitCode ??= 0;
  setImmediate(() => process.exit());
});
