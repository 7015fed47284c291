// The view of the archive: what the address says of it, and a map of what the archive has: a row for each
// account and region, a cell for each day or hour of UTC. Pure.

import { counted } from "./text.js";
import { moment } from "./time.js";

/**
 * @typedef {object} Inventory what the view of the archive shows
 * @property {string} until the last day of the map; empty for the archive's last
 * @property {string} day whose hours the map shows; empty where it shows days
 * @property {string | null} account the only one of the map; null for all
 * @property {string} state of the files that are listed; empty for those of all but `ignored`
 * @property {string} path a part of their paths
 * @property {Cell | null} cell the day or hour whose files are listed
 */

/**
 * @typedef {object} Cell a day, `2024-05-06`, or an hour, `2024-05-06T07`, of an account and a region
 * @property {string} account
 * @property {string} region
 * @property {string} time
 */

/** @type {Inventory} */
export const WHOLE = { until: "", day: "", account: null, state: "", path: "", cell: null };

/** States of files, as the daemon counts them, and what they mean. */
/** @type {[string, string][]} */
export const STATES = [
  ["indexed", "read, and their events are in the index"],
  ["pending", "they wait, settle, or are being read"],
  ["rejected", "nothing in them could be indexed; the reason stands beside each"],
  ["digest", "CloudTrail's digests"],
  ["empty", "trail files without a record"],
  ["replaced", "earlier readings of files that changed"],
  ["reread", "a damaged part of the index held their events; they are read again"],
  ["skipped", "links, pipes, devices, and what cannot be opened"],
  ["ignored", "by name or content no trail's; 1,000 are listed at most"],
];

const HOUR = 3600e3;
const DAY = 24 * HOUR;

/** Days that the map shows at once. */
export const DAYS = 62;

/** Rows that the map shows. */
export const ROWS_MAX = 150;

/** Groups that the daemon is asked for, its most. */
export const GROUPS_MAX = 25_000;

/** Notes of the daemon's answer that say nothing of the map's cells; any other may mean that some are not known. */
const OF_OTHERS = /^(digests whose state is not known here|earlier changes of trails are too many to list|some accounts and regions are too many, .*|\d+ more (changes of trails|recordings|counts of data events))$/;

/** Shades of cells, from few events to many. */
const SHADES = 4;

/** @param {string} text */
function isDay(text) {
  return /^\d{4}-\d\d-\d\d$/.test(text) && dayOf(Date.parse(text)) === text;
}

/** @param {string} text */
function isDayOrHour(text) {
  return isDay(text) || (/^.{10}T([01]\d|2[0-3])$/.test(text) && isDay(text.slice(0, 10)));
}

/**
 * The day of a moment, in UTC; empty where it is none.
 * @param {number} ms
 */
export function dayOf(ms) {
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString().slice(0, 10);
}

/**
 * What an address says of the archive; what is wrong in it is left out.
 * @param {URLSearchParams} said
 * @returns {Inventory}
 */
export function parseInventory(said) {
  const text = (/** @type {string} */ key) => said.get(key) ?? "";
  const state = text("fs");
  const time = text("ct");
  return {
    until: isDay(text("au")) ? text("au") : "",
    day: isDay(text("ad")) ? text("ad") : "",
    account: said.get("aa"),
    state: STATES.some(([name]) => name === state) ? state : "",
    path: text("fp"),
    cell: isDayOrHour(time) ? { account: text("ca"), region: text("cr"), time } : null,
  };
}

/**
 * @param {Inventory} inventory
 * @param {URLSearchParams} said
 */
export function formatInventory({ until, day, account, state, path, cell }, said) {
  if (until !== "") said.set("au", until);
  if (day !== "") said.set("ad", day);
  if (account !== null) said.set("aa", account);
  if (state !== "") said.set("fs", state);
  if (path !== "") said.set("fp", path);
  if (!cell) return;
  said.set("ca", cell.account);
  said.set("cr", cell.region);
  said.set("ct", cell.time);
}

/**
 * The moments of a cell, the first included and the last not.
 * @param {string} time
 * @returns {[number, number]}
 */
export function spanOf(time) {
  const isHour = time.length > 10;
  const start = Date.parse(isHour ? `${time}:00:00Z` : time);
  return [start, start + (isHour ? HOUR : DAY)];
}

/**
 * The moments of the map: the hours of a day, or days to the last one.
 * @param {Inventory} inventory
 * @param {{first?: string, last?: string}} extent of the archive
 * @returns {[number, number] | null} null where the archive has none
 */
export function windowOf({ until, day }, extent) {
  if (day !== "") return spanOf(day);
  const last = until || dayOf(Date.parse(extent.last ?? ""));
  if (last === "") return null;
  const end = Date.parse(last) + DAY;
  const first = Date.parse(dayOf(Date.parse(extent.first ?? "")) || last);
  return [Math.max(end - DAYS * DAY, Math.min(first, end - DAY)), end];
}

/**
 * @typedef {object} Group as `GET /v1/coverage` has it
 * @property {string} [account]
 * @property {string} [region]
 * @property {string} [time]
 * @property {number} files
 * @property {number} events
 * @property {number} hours
 * @property {number} missing
 */

/** @typedef {{account: string, region: string, groups: (Group | null)[]}} Row */

/**
 * The rows of a map. Where the daemon does not tell all, a cell that it says nothing of is not known to be
 * empty.
 * @param {{groups: Group[], total: number, notes?: string[]}} found
 * @param {[number, number]} span
 * @param {boolean} isByHour
 */
export function mapOf({ groups, total, notes = [] }, [start, end], isByHour) {
  const step = isByHour ? HOUR : DAY;
  const columns = Array.from({ length: Math.ceil((end - start) / step) }, (_, at) => start + at * step);
  /** @type {Map<string, Row>} */
  const rows = new Map();
  for (const group of groups) {
    const at = (Date.parse(group.time ?? "") - start) / step;
    if (!(at >= 0 && at < columns.length)) continue;
    const [account, region] = [group.account ?? "", group.region ?? ""];
    const key = JSON.stringify([account, region]);
    const row = rows.get(key) ?? { account, region, groups: columns.map(() => null) };
    row.groups[Math.floor(at)] = group;
    rows.set(key, row);
  }
  const most = Math.max(1, ...groups.map(({ events }) => events));
  return { columns, rows: [...rows.values()], most, isCut: isShort({ groups, total }) || notes.some((note) => !OF_OTHERS.test(note)) };
}

/**
 * Whether the daemon lists fewer groups than there are.
 * @param {{groups: Group[], total: number}} found
 */
export function isShort({ groups, total }) {
  return groups.length < total || groups.length >= GROUPS_MAX;
}

/**
 * The hours of gaps between two moments.
 * @param {{start: string, end: string}[]} gaps
 * @param {[number, number]} span
 */
export function hoursOf(gaps, [start, end]) {
  return gaps.reduce((sum, gap) => sum + Math.max(0, Math.min(Date.parse(gap.end), end) - Math.max(Date.parse(gap.start), start)) / HOUR, 0);
}

/**
 * What a cell is: a `gap`; `part` of it is one; `none`, without an event; not `unknown`; or its shade, by
 * how many events there are.
 * @param {Group | null} group
 * @param {{most: number, isCut: boolean}} of
 */
export function kindOfCell(group, { most, isCut }) {
  if (!group) return isCut ? "unknown" : "none";
  if (group.missing > 0) return group.events > 0 ? "part" : "gap";
  if (group.events === 0) return isCut ? "unknown" : "none";
  const shade = Math.floor((SHADES * Math.log(group.events)) / Math.log(most + 1));
  return `shade-${Math.min(SHADES - 1, shade)}`;
}

/** What stands in a cell, so that it is not told by its colour alone. @param {string} kind */
export function signOf(kind) {
  return { gap: "!", part: "!", none: "·", unknown: "?" }[kind] ?? "";
}

/**
 * A cell in words.
 * @param {Group | null} group
 * @param {string} kind
 */
export function wordsOf(group, kind) {
  if (kind === "unknown") return "not known, the daemon does not tell all";
  if (!group) return "no event";
  const events = group.events > 0 ? counted(group.events, "event") : "no event";
  const gap = group.missing > 0 ? `, a gap of ${counted(group.missing, "hour")}` : "";
  return `${events}${gap}, ${counted(group.files, "file")}`;
}

/**
 * The name of a column: a day or an hour.
 * @param {number} ms
 * @param {boolean} isByHour
 */
export function timeOf(ms, isByHour) {
  return moment(ms).slice(0, isByHour ? 13 : 10);
}
