// The view of alerts: what the address says of it, what is asked for it, and what stands in it. What a rule
// says, and what alerts have in common, strangers may have written. Pure.

import { barAt } from "./bars.js";
import { quote } from "./query.js";
import { moment, resolve, width } from "./time.js";

/**
 * @typedef {object} Shown what the view of alerts shows
 * @property {string} state a state, or `withdrawn`; empty for all that stand
 * @property {string} level the least; empty for all
 * @property {string} rule its id, name or title; empty for all
 * @property {string} words that each alert has
 * @property {"" | "principal"} by how the list is grouped
 * @property {number} offset of the list's first alert
 * @property {string} id of the alert that is open; empty where none is
 */

/** @type {Shown} */
export const ALL = { state: "", level: "", rule: "", words: "", by: "", offset: 0, id: "" };

/** The worst first. */
export const LEVELS = ["critical", "high", "medium", "low", "informational"];

/** What a person did with an alert. */
export const STATES = ["open", "acknowledged", "closed"];

/** Those that proved to be wrong are listed by themselves. */
export const WITHDRAWN = "withdrawn";

/** Alerts of a page of the list, of one request, and of which timeline and groups are made at most. */
export const PAGE = 100;
export const REQUEST_MAX = 1_000;
export const PICTURE_MAX = 5_000;

/**
 * What an address says of alerts; what is wrong in it is left out.
 * @param {URLSearchParams} said
 * @returns {Shown}
 */
export function parseShown(said) {
  const text = (/** @type {string} */ key) => said.get(key) ?? "";
  const of = (/** @type {string} */ key, /** @type {string[]} */ known) => (known.includes(text(key)) ? text(key) : "");
  return {
    state: of("ls", [...STATES, WITHDRAWN]),
    level: of("ll", LEVELS),
    rule: text("lr"),
    words: text("lq"),
    by: text("lg") === "principal" ? "principal" : "",
    offset: /^\d{1,7}$/.test(text("lo")) ? Number(text("lo")) : 0,
    id: /^[0-9a-f]{32}$/.test(text("l")) ? text("l") : "",
  };
}

/**
 * @param {Shown} shown
 * @param {URLSearchParams} said
 */
export function formatShown({ state, level, rule, words, by, offset, id }, said) {
  if (state !== "") said.set("ls", state);
  if (level !== "") said.set("ll", level);
  if (rule !== "") said.set("lr", rule);
  if (words !== "") said.set("lq", words);
  if (by !== "") said.set("lg", by);
  if (offset !== 0) said.set("lo", String(offset));
  if (id !== "") said.set("l", id);
}

/**
 * What is asked of the daemon. A range that ends with the archive, or now, has no end: what comes in meanwhile
 * is in it.
 * @param {{range: string, alerts: Shown}} place
 * @param {import("./time.js").Extent} extent
 * @param {number} now
 * @param {{limit: number, offset: number}} part
 */
export function requestOf({ range, alerts: { state, level, rule, words } }, extent, now, { limit, offset }) {
  const { start, end } = resolve(range, extent, now);
  const said = new URLSearchParams({ limit: String(limit), offset: String(offset) });
  if (start) said.set("start", start);
  if (end && range.includes("..")) said.set("end", end);
  if (state === WITHDRAWN) said.set("withdrawn", "true");
  else if (state !== "") said.set("state", state);
  if (level !== "") said.set("level", level);
  if (rule !== "") said.set("rule", rule);
  if (words !== "") said.set("q", words);
  return said;
}

/**
 * @typedef {object} Brief what a row says of an alert
 * @property {string} id
 * @property {string} level
 * @property {string} title of the rule
 * @property {string} rule by which it is asked for
 * @property {string} state as {@link stateOf}
 * @property {string} first
 * @property {string} last
 * @property {number | import("./json.js").Digits} events
 * @property {string} who
 * @property {boolean} isPrincipal whether that is one
 * @property {boolean} hasNote
 */

/**
 * @param {any} alert
 * @returns {Brief}
 */
export function briefOf(alert) {
  const { rule } = alert;
  const [who, isPrincipal] = whoOf(alert.group);
  return {
    id: alert.id,
    level: levelOf(rule.level),
    title: rule.title,
    rule: rule.id ?? rule.name ?? rule.title,
    state: stateOf(alert),
    first: alert.first,
    last: alert.last,
    events: alert.events,
    who,
    isPrincipal,
    hasNote: alert.note !== undefined,
  };
}

/** A level that is none of ours counts as the daemon has it. @param {string} level */
function levelOf(level) {
  const lower = String(level).toLowerCase();
  return LEVELS.includes(lower) ? lower : "medium";
}

/** @param {{state: string, withdrawn?: string}} alert */
export function stateOf({ state, withdrawn }) {
  return withdrawn === undefined ? state : WITHDRAWN;
}

/**
 * Whom an alert is about: its principal where it has one, else all that its events have in common.
 * @param {Record<string, string>} group
 * @returns {[string, boolean]}
 */
export function whoOf(group) {
  for (const key of ["principal", "userIdentity.arn"]) {
    if (Object.hasOwn(group, key)) return [group[key], true];
  }
  return [Object.entries(group).map(([key, value]) => `${key} ${value}`).join(", "), false];
}

/**
 * @typedef {object} Group alerts of one principal
 * @property {string} who
 * @property {boolean} isPrincipal
 * @property {Brief[]} alerts the latest first
 * @property {[string, number][]} levels the worst first
 * @property {number} open how many nobody did something with
 */

/**
 * Alerts by principal: those with the worst that is open first, then those with the latest.
 * @param {Brief[]} briefs the latest first
 * @returns {Group[]}
 */
export function groupsOf(briefs) {
  /** @type {Map<string, Brief[]>} */
  const found = new Map();
  for (const brief of briefs) {
    const key = `${brief.isPrincipal} ${brief.who}`;
    const known = found.get(key);
    if (known) known.push(brief);
    else found.set(key, [brief]);
  }
  const groups = [...found.values()].map((alerts) => ({
    who: alerts[0].who,
    isPrincipal: alerts[0].isPrincipal,
    alerts,
    levels: LEVELS.map((level) => /** @type {[string, number]} */ ([level, alerts.filter((one) => one.level === level).length])).filter(([, count]) => count > 0),
    open: alerts.filter(({ state }) => state === "open").length,
  }));
  const worst = (/** @type {Group} */ { alerts }) => Math.min(...alerts.map(({ level, state }) => (state === "open" ? LEVELS.indexOf(level) : LEVELS.length)));
  const ranked = groups.map((group) => /** @type {[number, Group]} */ ([worst(group), group]));
  return ranked.sort(([a], [b]) => a - b).map(([, group]) => group);
}

/**
 * Rules of which there are alerts, by what they are asked for, with their titles and numbers.
 * @param {Brief[]} briefs
 * @returns {[string, string, number][]}
 */
export function rulesOf(briefs) {
  /** @type {Map<string, [string, string, number]>} */
  const rules = new Map();
  for (const { rule, title } of briefs) {
    const known = rules.get(rule);
    if (known) known[2] += 1;
    else rules.set(rule, [rule, title, 1]);
  }
  return [...rules.values()].sort((a, b) => (a[1] < b[1] ? -1 : 1));
}

/**
 * Alerts over time, by level: each at its last event, or at the end of the time that is shown. Null where
 * there is no time.
 * @param {Brief[]} briefs
 * @param {string} range
 * @param {import("./time.js").Extent} extent
 * @param {string} zone
 * @param {number} now
 * @returns {import("./searches.js").Timeline | null}
 */
export function timelineOf(briefs, range, extent, zone, now) {
  const times = briefs.map(({ last }) => Date.parse(last)).filter((ms) => !Number.isNaN(ms));
  const { start: from, end: until } = resolve(range, extent, now);
  const start = Date.parse(from ?? extent.first ?? "") || Math.min(...times);
  let end = Date.parse(until ?? "") || Date.parse(extent.last ?? "") + 1e3 || 0;
  // What came in since is in it, too.
  if (!range.includes("..")) end = times.reduce((most, ms) => Math.max(most, ms + 1e3), end);
  if (!(end > start) || start === Infinity) return null;
  const name = width(end - start);
  /** @type {Map<number, {at: number, end: number, counts: Map<string, number>}>} */
  const bars = new Map();
  for (const { last, level } of briefs) {
    const ms = Math.min(Math.max(Date.parse(last), start), end - 1);
    if (Number.isNaN(ms)) continue;
    const [at, barEnd] = barAt(ms, name, zone);
    const bar = bars.get(at) ?? { at, end: barEnd, counts: new Map() };
    bar.counts.set(level, (bar.counts.get(level) ?? 0) + 1);
    bars.set(at, bar);
  }
  const values = LEVELS.filter((level) => briefs.some((one) => one.level === level));
  return { start, end, width: name, zone, note: "", isBusy: false, values, bars: [...bars.values()].sort((a, b) => a.at - b.at) };
}

/** Events that a query names by their ids, as many as an alert has. */
const IDS_MAX = 100;

/**
 * The search for an alert's events, with all that the page can do; undefined where there is none.
 * @param {any} alert
 * @returns {Partial<import("./url.js").Place> | undefined}
 */
export function eventsOf({ query, ids = [], first, last }) {
  const byIds = ids.slice(0, IDS_MAX).map((/** @type {string} */ id) => `eventID = ${quote(id)}`).join(" OR ");
  const whole = query ?? byIds;
  const [start, end] = [Date.parse(first), Date.parse(last)];
  if (whole === "" || Number.isNaN(start) || Number.isNaN(end)) return undefined;
  // Times have whole seconds, as a rule; the end of a range is not in it.
  const second = (/** @type {number} */ ms) => Math.floor(ms / 1e3) * 1e3;
  return { view: "events", query: whole, range: `${moment(second(start))}..${moment(second(end) + 1e3)}`, event: "" };
}

/**
 * The address of a reference that a browser may open; undefined where it is none, or hides whose it is.
 * @param {string} text
 */
export function linkOf(text) {
  if (!/^https?:\/\/[\x21-\x7e]+$/i.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, username, password, href } = new URL(text);
  return /^https?:$/.test(protocol) && username === "" && password === "" ? href : undefined;
}
