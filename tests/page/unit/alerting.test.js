// How alerts are followed: with a daemon that answers when the test says so, and a page that is hidden and shown.

import assert from "node:assert/strict";
import { test } from "node:test";

/** Requests that wait for their answer. @type {{path: string, said: URLSearchParams, body: any, signal: AbortSignal, answer: (value: any, status?: number) => void}[]} */
let waiting = [];
const heard = new Set();
globalThis.localStorage = { getItem: () => null, setItem: () => {} };
globalThis.document = {
  title: "",
  hidden: false,
  addEventListener: (_name, listener) => heard.add(listener),
  removeEventListener: (_name, listener) => heard.delete(listener),
};
globalThis.location = { hash: "", origin: "http://127.0.0.1:8457", pathname: "/", search: "" };
globalThis.history = { pushState: () => {}, replaceState: () => {} };
globalThis.addEventListener = () => {};
globalThis.fetch = (path, { body, signal }) =>
  new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason));
    const url = new URL(path, "http://x");
    const answer = (value, status = 200) => resolve({ ok: status === 200, text: async () => JSON.stringify(value) });
    waiting.push({ path: url.pathname, said: url.searchParams, body: body && JSON.parse(body), signal, answer });
  });
const show = (isShown) => {
  globalThis.document.hidden = !isShown;
  for (const listener of [...heard]) listener();
};

const state = await import("../../../crates/web/page/core/state.js");
const alerting = await import("../../../crates/web/page/core/alerting.js");
const { START } = await import("../../../crates/web/page/core/url.js");

/** The request that a test expects, taken out of those that wait. */
async function asked(path, wanted = () => true) {
  for (let tries = 0; tries < 500; tries += 1) {
    const at = waiting.findIndex((one) => !one.signal?.aborted && one.path === path && wanted(one));
    if (at >= 0) return waiting.splice(at, 1)[0];
    await new Promise((done) => setTimeout(done, 10));
  }
  assert.fail(`${path} was not asked; waiting: ${waiting.map((one) => `${one.path}?${one.said}`)}`);
}
const open = () => waiting.filter((one) => !one.signal?.aborted);
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const alert = (id, change = {}) => ({ id: id.repeat(32), rule: { title: id, level: "high" }, kind: "events", group: { principal: "p" }, first: "2024-05-06T07:00:00Z", last: "2024-05-06T07:00:00Z", events: 1, query: "x", state: "open", ...change });
const list = (alerts, change = {}) => ({ alerts, total: alerts.length, levels: [], states: [], rules: { rules: 1, is_current: true }, ...change });
const changes = (last, log = "a") => ({ log, last, changes: [], missed: 0 });
const shown = () => alerting.listing.value.found?.alerts.map(({ rule }) => rule.title);
async function until(what) {
  for (let tries = 0; tries < 400 && !what(); tries += 1) await later(10);
  assert.ok(what(), String(what));
}

test("a change is listed; one that comes while somebody reads waits; a hidden page holds no connection", async () => {
  state.status.value = { events: { first: "2024-05-06T00:00:00Z", last: "2024-05-06T23:00:00Z" } };
  alerting.start();
  await later(30);
  assert.equal(open().length, 0, "beside the view nothing is asked");
  state.place.value = { ...START, view: "alerts" };
  const first = await asked("/v1/alerts/changes");
  assert.equal(first.said.get("wait"), "0");
  first.answer(changes(3));
  (await asked("/v1/alerts")).answer(list([alert("a")]));
  await until(() => shown()?.join() === "a");
  assert.equal(alerting.picture.value.briefs.length, 1);
  // It waits for a change, behind the last one.
  let poll = await asked("/v1/alerts/changes");
  assert.deepEqual([poll.said.get("after"), Number(poll.said.get("wait")) > 0], ["3", true]);
  poll.answer(changes(4));
  (await asked("/v1/alerts")).answer(list([alert("b"), alert("a")]));
  await until(() => shown()?.join() === "b,a");
  // Somebody has chosen one.
  poll = await asked("/v1/alerts/changes");
  alerting.chosen.value = new Set([alert("a").id]);
  poll.answer(changes(5));
  await until(() => alerting.hasNews.value);
  assert.deepEqual(open().filter(({ path }) => path === "/v1/alerts"), []);
  assert.equal(shown().join(), "b,a");
  alerting.chosen.value = new Set();
  (await asked("/v1/alerts")).answer(list([alert("c"), alert("b"), alert("a")]));
  await until(() => shown()?.join() === "c,b,a");
  // Hidden.
  poll = await asked("/v1/alerts/changes");
  show(false);
  assert.ok(poll.signal.aborted);
  await later(1_300);
  assert.deepEqual(open(), []);
  assert.equal(alerting.listing.value.error, "");
  show(true);
  poll = await asked("/v1/alerts/changes");
  assert.equal(poll.said.get("after"), "5");
  // Hidden between two questions.
  poll.answer(changes(5));
  (await asked("/v1/alerts")).answer(list([alert("c")]));
  await until(() => shown().join() === "c");
  show(false);
  await later(1_300);
  assert.deepEqual(open(), []);
  show(true);
  poll = await asked("/v1/alerts/changes");
  // Another log begins again.
  poll.answer(changes(1, "b"));
  (await asked("/v1/alerts")).answer(list([]));
  await asked("/v1/alerts", ({ said }) => said.get("limit") === "0" && !said.has("start")).then((one) => one.answer(list([], { total: 7 })));
  await until(() => alerting.listing.value.elsewhere === 7);
});

test("while rules have not looked at everything, the list is asked for again and again", async () => {
  const poll = await asked("/v1/alerts/changes");
  poll.answer(changes(1, "b"));
  (await asked("/v1/alerts")).answer(list([alert("a")], { rules: { rules: 1, is_current: false } }));
  await until(() => shown()?.join() === "a");
  const next = await asked("/v1/alerts/changes");
  assert.equal(next.said.get("wait"), "0");
  next.answer(changes(1, "b"));
  (await asked("/v1/alerts")).answer(list([alert("a")]));
  await until(() => alerting.listing.value.found.rules.is_current);
});

test("the alert that is open is asked for again with each change, among those that were withdrawn, too", async () => {
  const { id } = alert("a");
  state.place.value = { ...state.place.value, alerts: { ...state.place.value.alerts, id } };
  const ofId = () => asked("/v1/alerts", ({ said }) => said.get("id") === id);
  assert.equal(alerting.opened.value.alert.rule.title, "a", "the list has it");
  (await ofId()).answer(list([alert("a")]));
  (await asked("/v1/alerts/changes")).answer(changes(2, "b"));
  const gone = await ofId();
  assert.equal(gone.said.get("withdrawn"), "false");
  gone.answer(list([]));
  const withdrawn = await ofId();
  assert.equal(withdrawn.said.get("withdrawn"), "true");
  withdrawn.answer(list([alert("a", { withdrawn: "2026-01-01T00:00:00Z" })]));
  await until(() => alerting.opened.value.alert.withdrawn !== undefined);
  (await asked("/v1/alerts")).answer(list([alert("a", { state: "closed" })]));
  await until(() => alerting.picture.value.briefs[0].state === "closed");
  state.place.value = { ...state.place.value, alerts: { ...state.place.value.alerts, id: "" } };
  assert.equal(alerting.opened.value.id, "");
});

test("a page that nobody has touched for long holds no connection", async (context) => {
  const poll = await asked("/v1/alerts/changes");
  context.mock.timers.enable({ apis: ["Date"], now: Date.now() + 600_000 });
  poll.answer(changes(1, "b"));
  (await asked("/v1/alerts")).answer(list([alert("a")]));
  // The pause before was decided on when the poll began.
  const next = await asked("/v1/alerts/changes");
  assert.equal(next.said.get("wait"), "0");
  next.answer(changes(1, "b"));
  (await asked("/v1/alerts")).answer(list([alert("a")]));
  await later(1_500);
  assert.deepEqual(open(), []);
});

test("more alerts than one request has are taken for the timeline, so many at most", async () => {
  // Another view ends what runs; the list is asked for anew.
  state.place.value = { ...START };
  state.place.value = { ...START, view: "alerts", range: "all" };
  (await asked("/v1/alerts/changes")).answer(changes(1, "b"));
  const some = (from, count) => Array.from({ length: count }, (_, at) => ({ ...alert("a"), id: String(from + at).padStart(32, "0") }));
  (await asked("/v1/alerts")).answer(list(some(0, 100), { total: 9_000 }));
  const offsets = [];
  for (let part = 0; part < 5; part += 1) {
    const { said, answer } = await asked("/v1/alerts");
    offsets.push(said.get("offset"));
    assert.equal(said.get("limit"), "1000");
    answer(list(some(part * 1_000, 1_000), { total: 9_000 }));
  }
  assert.deepEqual(offsets, ["0", "1000", "2000", "3000", "4000"]);
  await until(() => alerting.picture.value?.briefs.length === 5_000);
  assert.equal(alerting.picture.value.total, 9_000);
});

test("what is told to the daemon is told of so many at once, and a refusal keeps the choice", async () => {
  const ids = Array.from({ length: 1_500 }, (_, at) => String(at).padStart(32, "0"));
  alerting.chosen.value = new Set(ids);
  const done = alerting.change(ids, { state: "closed", note: "n" });
  const first = await asked("/v1/alerts", ({ body }) => body !== undefined);
  assert.deepEqual([first.body.ids.length, first.body.state, first.body.note], [1_000, "closed", "n"]);
  first.answer(list([]));
  const second = await asked("/v1/alerts", ({ body }) => body !== undefined);
  assert.equal(second.body.ids.length, 500);
  second.answer({ error: { kind: "forbidden", message: "this page only reads" } }, 403);
  (await asked("/v1/alerts")).answer(list([alert("a")]));
  assert.equal(await done, "this page only reads");
  assert.equal(alerting.chosen.value.size, 1_500);
  state.place.value = { ...START };
});
