import assert from "node:assert/strict";
import { test } from "node:test";

import { ALL, LEVELS, STATES, WITHDRAWN, briefOf, eventsOf, groupsOf, linkOf, requestOf, rulesOf, timelineOf, whoOf } from "../../../crates/web/page/core/alerts.js";
import { START, format, parse } from "../../../crates/web/page/core/url.js";

const view = (alerts) => ({ ...START, view: "alerts", alerts: { ...ALL, ...alerts } });
const ID = "0123456789abcdef".repeat(2);

const alert = (change = {}) => ({
  id: ID,
  rule: { title: "t", level: "high" },
  kind: "events",
  group: { principal: "arn:a" },
  first: "2024-05-06T07:00:00Z",
  last: "2024-05-06T08:00:00Z",
  events: 2,
  query: "x",
  state: "open",
  raised: "2026-01-01T00:00:00Z",
  changed: "2026-01-01T00:00:00Z",
  ...change,
});

test("the address holds what the view of alerts shows, whatever rules are called", () => {
  for (const alerts of [
    {},
    { state: "closed", level: "high", rule: "a&b=#<c> d", words: "x & y\u{202e}", by: "principal", offset: 300, id: ID },
    { state: WITHDRAWN },
  ]) {
    assert.deepEqual(parse(format(view(alerts))), view(alerts));
  }
  assert.equal(format({ ...view({ words: "x" }), view: "events" }), "#", "beside the events it is not said");
  assert.doesNotMatch(format(view({ rule: "[x] (y) *", words: "a|b" })), /[\s[\](){}<>"'*|+]/);
});

test("what an address says wrongly of alerts is as if it said nothing", () => {
  for (const wrong of ["ls=gone", "ll=worse", "lg=rule", "lo=-1", "lo=1e9", "lo=99999999", "l=x", `l=${ID}0`, "l=../../search"]) {
    assert.deepEqual(parse(`#v=alerts&${wrong}`).alerts, ALL, wrong);
  }
  assert.deepEqual(parse("#ls=open").alerts, ALL);
});

test("what is asked has the view's filters and its time, without an end that moves", () => {
  const extent = { first: "2023-07-10T00:00:00Z", last: "2023-07-10T11:59:59Z" };
  const asked = (place) => Object.fromEntries(requestOf(place, extent, Date.parse("2026-01-02T00:00:00Z"), { limit: 5, offset: 10 }));
  const part = { limit: "5", offset: "10" };
  assert.deepEqual(asked(view({})), { ...part, start: "2023-07-09T12:00:00Z" });
  assert.deepEqual(asked({ ...view({}), range: "-1h" }), { ...part, start: "2026-01-01T23:00:00Z" });
  assert.deepEqual(asked({ ...view({}), range: "all" }), part);
  const range = "2023-07-10T00:00:00Z..2023-07-11T00:00:00Z";
  assert.deepEqual(asked({ ...view({ state: "open", level: "low", rule: "r", words: "a b" }), range }), { ...part, start: "2023-07-10T00:00:00Z", end: "2023-07-11T00:00:00Z", state: "open", level: "low", rule: "r", q: "a b" });
  assert.deepEqual(asked({ ...view({ state: WITHDRAWN }), range: "all" }), { ...part, withdrawn: "true" });
});

test("an alert is of its principal, of who acted, or of all that its events share", () => {
  assert.deepEqual(whoOf({ principal: "p", "userIdentity.arn": "a" }), ["p", true]);
  assert.deepEqual(whoOf({ awsRegion: "r", "userIdentity.arn": "a" }), ["a", true]);
  assert.deepEqual(whoOf({ awsRegion: "r", x: "y" }), ["awsRegion r, x y", false]);
  assert.deepEqual(whoOf({}), ["", false]);
  assert.deepEqual(whoOf(JSON.parse('{"__proto__":"a","constructor":"b"}')), ["__proto__ a, constructor b", false]);
});

test("principals with the worst that is open come first, and names are no keys of anything", () => {
  const of = (who, level, state, last) => briefOf(alert({ group: who === undefined ? { ip: "p" } : { principal: who }, rule: { title: "t", level }, state, last }));
  const groups = groupsOf([
    of("closed only", "critical", "closed", "2024-05-09T00:00:00Z"),
    of("__proto__", "low", "open", "2024-05-08T00:00:00Z"),
    of("a", "high", "open", "2024-05-07T00:00:00Z"),
    of(undefined, "high", "open", "2024-05-06T00:00:00Z"),
    of("a", "informational", "acknowledged", "2024-05-05T00:00:00Z"),
    of("ip p", "low", "open", "2024-05-04T00:00:00Z"),
  ]);
  assert.deepEqual(groups.map(({ who, open, levels }) => [who, open, levels]), [
    ["a", 1, [["high", 1], ["informational", 1]]],
    ["ip p", 1, [["high", 1]]],
    ["__proto__", 1, [["low", 1]]],
    ["ip p", 1, [["low", 1]]],
    ["closed only", 0, [["critical", 1]]],
  ]);
  assert.deepEqual(groups.map(({ isPrincipal }) => isPrincipal), [true, false, true, true, true]);
});

test("rules are asked for by their id, else by their name or title", () => {
  const of = (rule) => briefOf(alert({ rule: { level: "low", ...rule } }));
  assert.deepEqual(rulesOf([of({ title: "b", id: "1", name: "n" }), of({ title: "a" }), of({ title: "b", id: "1" }), of({ title: "c", name: "n" })]), [["a", "a", 1], ["1", "b", 2], ["n", "c", 1]]);
});

test("alerts stand over time at their last event, within what is shown", () => {
  const briefs = [
    { last: "2024-05-06T08:30:00Z", level: "high" },
    { last: "2024-05-06T08:40:00Z", level: "low" },
    { last: "2024-05-08T00:00:00Z", level: "high" },
  ].map(({ last, level }) => briefOf(alert({ last, rule: { title: "t", level } })));
  const extent = { first: "2024-05-06T00:00:00Z", last: "2024-05-06T23:59:59Z" };
  const drawn = (range) => {
    const found = timelineOf(briefs, range, extent, "UTC", 0);
    const text = (ms) => new Date(ms).toISOString().slice(0, 16);
    return [text(found.start), text(found.end), found.width, found.values, found.bars.map(({ at, counts }) => [text(at), Object.fromEntries(counts)])];
  };
  const bounded = drawn("2024-05-06T00:00:00Z..2024-05-07T00:00:00Z");
  assert.deepEqual(bounded, ["2024-05-06T00:00", "2024-05-07T00:00", "30m", ["high", "low"], [["2024-05-06T08:30", { high: 1, low: 1 }], ["2024-05-06T23:30", { high: 1 }]]]);
  // The archive has grown since the page asked.
  assert.equal(drawn("end-1d")[1], "2024-05-08T00:00");
  assert.equal(drawn("all")[0], "2024-05-06T00:00");
  assert.equal(timelineOf([], "all", {}, "UTC", 0), null);
  assert.equal(timelineOf([briefOf(alert({ last: "never" }))], "end-1d", {}, "UTC", 0), null);
});

test("an alert leads to its events in their time, by their ids where it has no query", () => {
  const range = "2024-05-06T07:00:00Z..2024-05-06T08:00:01Z";
  assert.deepEqual(eventsOf(alert()), { view: "events", query: "x", range, event: "" });
  assert.equal(eventsOf(alert({ query: undefined, ids: ['a"b', "c"] })).query, 'eventID = "a\\"b" OR eventID = "c"');
  assert.equal(eventsOf(alert({ query: undefined })), undefined);
  assert.equal(eventsOf(alert({ first: "never" })), undefined);
  const fractions = eventsOf(alert({ first: "2024-05-06T07:00:00.900Z", last: "2024-05-06T07:00:00.950123Z" }));
  assert.equal(fractions.range, "2024-05-06T07:00:00Z..2024-05-06T07:00:01Z");
});

test("only an address of a page is a link", () => {
  for (const text of ["https://docs.aws.amazon.com/x?y=z#a", "http://example.com/", "HTTPS://example.com"]) assert.ok(linkOf(text)?.startsWith("http"), text);
  for (const text of ["javascript:alert(1)", "data:text/html,x", "//example.com", "example.com", "https://", "https://aws.amazon.com@evil.example/", "https://a b.example/", "https://\u{202e}moc.example/", " https://example.com", "https:example.com", "file:///etc/passwd", "https://ex\nample.com", ""]) {
    assert.equal(linkOf(text), undefined, text);
  }
});

test("levels and states are those that the daemon has", async () => {
  const { readFileSync } = await import("node:fs");
  const source = readFileSync(new URL("../../../crates/wire/src/alerts.rs", import.meta.url), "utf8");
  const [, states] = /pub enum AlertState \{([^}]*)\}/.exec(source);
  assert.deepEqual([...states.matchAll(/^ {4}([A-Z][a-z]+),/gm)].map(([, name]) => name.toLowerCase()), STATES);
  const [, levels] = /How much it matters: ([^.]*)\./.exec(source);
  assert.deepEqual([...levels.matchAll(/`([a-z]+)`/g)].map(([, name]) => name).reverse(), LEVELS);
});
