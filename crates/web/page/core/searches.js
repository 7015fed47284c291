// Asks what the page shows: the events or the table first, then the timeline and the facets, which the
// list does not wait for. A new question ends those before it.

import { batch, effect, signal, untracked } from "../vendor/preact.js";
import { Refusal, ask } from "./api.js";
import { split } from "./query.js";
import { away, extent, isLocked, place, round, status, told } from "./state.js";
import { resolve, width } from "./time.js";

/** Events of a page, and rows of a table. */
const PAGE = 100;
const ROWS_MAX = 1_000;

/** Rows of a timeline: bars times values. */
const CELLS_MAX = 10_000;

/** Facets that are asked for at once; the daemon answers others beside us. */
const FACETS_AT_ONCE = 2;

/** @typedef {import("../vendor/preact.js").Signal<any>} AnySignal */

/**
 * @typedef {object} Answer
 * @property {boolean} isBusy
 * @property {Refusal | null} error
 * @property {string} query that was asked
 * @property {any[]} hits
 * @property {{columns: string[], rows: any[][], rows_total: number, exact: boolean} | null} table
 * @property {{value: number, exact: boolean} | null} total
 * @property {string | null} cursor
 * @property {number} took milliseconds
 * @property {number | null} kept
 * @property {string[]} coverage
 * @property {string[]} warnings
 * @property {any} explanation
 */

/** @type {Answer} */
const NOTHING = {
  isBusy: false,
  error: null,
  query: "",
  hits: [],
  table: null,
  total: null,
  cursor: null,
  took: 0,
  kept: null,
  coverage: [],
  warnings: [],
  explanation: null,
};

/** @type {import("../vendor/preact.js").Signal<Answer>} */
export const answer = signal(NOTHING);

/**
 * @typedef {object} Timeline
 * @property {number} start
 * @property {number} end
 * @property {number} bar milliseconds of a bar
 * @property {{at: number, counts: Map<string, number>}[]} bars
 * @property {string[]} values the most frequent first
 * @property {string} note
 * @property {boolean} isBusy
 */

/** @type {import("../vendor/preact.js").Signal<Timeline | null>} */
export const timeline = signal(null);

/** @type {import("../vendor/preact.js").Signal<{account: string, region: string, start: string, end: string}[]>} */
export const gaps = signal([]);

/** @typedef {{rows: [any, number][], distinct: number, isBusy: boolean, error: string}} Facet */

/** @type {import("../vendor/preact.js").Signal<Record<string, Facet>>} */
export const facets = signal({});

/** The facets that are open, each with how many values it shows and what is looked for in it. */
/** @type {import("../vendor/preact.js").Signal<Record<string, {limit: number, search: string}>>} */
export const wanted = signal({});

/** @type {AbortController} */
let current = new AbortController();

/** What is asked about now: for the facets, which are asked for one by one. */
/** @type {{filter: string, keys: Record<string, string>} | null} */
let asked = null;

/** Asks whenever the place changes in what is asked. */
export function start() {
  let last = "";
  effect(() => {
    const { query, range, order, zone } = place.value;
    const by = place.value.by;
    const isReady = status.value !== undefined && !isLocked.value && away.value === "";
    const key = JSON.stringify([query, range, order, zone, round.value]);
    if (!isReady) return;
    if (key !== last) {
      last = key;
      untracked(() => void begin());
    } else if (timeline.value && by !== untracked(() => timelineBy)) {
      untracked(() => void askTimeline(current.signal));
    }
  });
  effect(() => {
    void wanted.value;
    untracked(() => void askFacets());
  });
}

/** The field by which the timeline was broken down last. */
let timelineBy = "";

async function begin() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const { query, range, order, zone } = place.value;
  const { start, end } = resolve(range, extent(), Date.now());
  const { filter } = split(query);
  /** @type {Record<string, string>} */
  const keys = { time_zone: zone };
  if (start) keys.start = start;
  if (end) keys.end = end;
  asked = { filter, keys };
  batch(() => {
    answer.value = { ...answer.value, isBusy: true };
    facets.value = Object.fromEntries(
      Object.entries(facets.value).map(([field, facet]) => [field, { ...facet, isBusy: true }]),
    );
  });
  const found = await askMain({ query, order, empty: true, limit: split(query).stages ? ROWS_MAX : PAGE, ...keys }, signal);
  if (!found || signal.aborted) return;
  void askTimeline(signal);
  facetsDone.clear();
  void askFacets();
  void askGaps(signal, keys);
}

/**
 * @param {Record<string, any>} body
 * @param {AbortSignal} signal
 */
async function askMain(body, signal) {
  try {
    const found = await ask("/v1/search", { body, signal });
    if (signal.aborted) return false;
    answer.value = { ...NOTHING, ...partsOf(found), query: body.query };
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    told(error);
    const refusal = error instanceof Refusal ? error : new Refusal("internal", String(error));
    batch(() => {
      answer.value = { ...NOTHING, error: refusal, query: body.query };
      // What stands beside an error would be of another question.
      timeline.value = null;
      facets.value = {};
      asked = null;
    });
    return false;
  }
}

/** @param {any} found */
function partsOf(found) {
  return {
    hits: found.hits,
    table: found.table ?? null,
    total: found.total,
    cursor: found.cursor ?? null,
    took: found.took_ms,
    kept: found.kept ?? null,
    coverage: found.coverage ?? [],
    warnings: found.warnings ?? [],
    explanation: found.explanation ?? null,
  };
}

/** Adds the next page to the list. */
export async function more() {
  const before = answer.value;
  if (before.isBusy || !before.cursor || !asked) return;
  const { signal } = current;
  answer.value = { ...before, isBusy: true };
  const body = { query: before.query, order: place.value.order, limit: PAGE, cursor: before.cursor, total: "none", ...asked.keys };
  try {
    const found = await ask("/v1/search", { body, signal });
    if (signal.aborted) return;
    const warnings = [...new Set([...before.warnings, ...(found.warnings ?? [])])];
    answer.value = { ...before, hits: [...before.hits, ...found.hits], cursor: found.cursor ?? null, warnings };
  } catch (error) {
    if (signal.aborted) return;
    const message = told(error);
    answer.value = { ...before, isBusy: false, warnings: [...before.warnings, `The next events: ${message}`] };
  }
}

/** @param {AbortSignal} signal */
async function askTimeline(signal) {
  if (!asked) return;
  const { filter, keys } = asked;
  const { first, last } = extent();
  const start = Date.parse(keys.start ?? first ?? "");
  const end = keys.end ? Date.parse(keys.end) : Date.parse(last ?? "") + 1e3;
  timelineBy = place.value.by;
  if (!(end > start)) {
    timeline.value = null;
    return;
  }
  const [name, bar] = width(end - start);
  const body = { limit: CELLS_MAX, total: "none", ...keys };
  if (timeline.value) timeline.value = { ...timeline.value, isBusy: true };
  try {
    let found = await ask("/v1/search", { body: { ...body, query: `${filter || "*"} | timeline ${name} by ${timelineBy}` }, signal });
    let note = "";
    if (found.table.rows_total > found.table.rows.length) {
      note = `${timelineBy} has too many values to break the bars down`;
      found = await ask("/v1/search", { body: { ...body, query: `${filter || "*"} | timeline ${name}` }, signal });
    }
    if (!signal.aborted) timeline.value = { start, end, bar, note, isBusy: false, ...barsOf(found.table) };
  } catch (error) {
    if (signal.aborted) return;
    const note = `No timeline: ${told(error)}`;
    timeline.value = { start, end, bar, bars: [], values: [], note, isBusy: false };
  }
}

/** @param {{columns: string[], rows: any[][]}} table */
function barsOf(table) {
  /** @type {Map<number, Map<string, number>>} */
  const bars = new Map();
  /** @type {Map<string, number>} */
  const totals = new Map();
  for (const row of table.rows) {
    const at = Date.parse(row[0]);
    const value = row.length > 2 ? textOf(row[1]) : "events";
    const count = Number(row[row.length - 1]);
    const counts = bars.get(at) ?? new Map();
    counts.set(value, (counts.get(value) ?? 0) + count);
    bars.set(at, counts);
    totals.set(value, (totals.get(value) ?? 0) + count);
  }
  const values = [...totals].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  return { bars: [...bars].map(([at, counts]) => ({ at, counts })), values };
}

/** @param {unknown} value */
function textOf(value) {
  return value === null ? "(none)" : typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {AbortSignal} signal
 * @param {Record<string, string>} keys
 */
async function askGaps(signal, keys) {
  const said = new URLSearchParams({ by: "account", limit: "1" });
  if (keys.start) said.set("start", keys.start);
  if (keys.end) said.set("end", keys.end);
  try {
    const found = await ask(`/v1/coverage?${said}`, { signal });
    if (!signal.aborted) gaps.value = found.gaps;
  } catch {
    // The picture is not there yet, or is of no use here; searches say so themselves.
    if (!signal.aborted) gaps.value = [];
  }
}

/** What each facet was last asked as, so that none is asked twice. */
/** @type {Map<string, string>} */
const facetsDone = new Map();
let facetsRunning = 0;

async function askFacets() {
  if (!asked || facetsRunning >= FACETS_AT_ONCE) return;
  const of = asked;
  const { signal } = current;
  const next = Object.entries(wanted.value).find(
    ([field, how]) => facetsDone.get(field) !== `${how.limit} ${how.search}`,
  );
  if (!next) return;
  const [field, { limit, search }] = next;
  facetsDone.set(field, `${limit} ${search}`);
  facetsRunning += 1;
  // Another beside it.
  void askFacets();
  const before = facets.value[field];
  /** @param {Facet} facet */
  const set = (facet) => {
    if (asked === of) facets.value = { ...facets.value, [field]: facet };
  };
  try {
    const inside = search ? ` | filter ${field}:${pattern(search)}` : "";
    const body = { query: `${of.filter || "*"} | count by ${field}${inside}`, limit, ...of.keys };
    const found = await ask("/v1/search", { body, signal });
    set({ rows: found.table.rows, distinct: found.table.rows_total, isBusy: false, error: "" });
  } catch (error) {
    if (!signal.aborted) set({ rows: before?.rows ?? [], distinct: 0, isBusy: false, error: told(error) });
  } finally {
    facetsRunning -= 1;
    void askFacets();
  }
}

/**
 * A regular expression that finds a text inside of a value, in any case.
 * @param {string} text
 */
function pattern(text) {
  const plain = text.replace(/[\\^$.*+?()[\]{}|/"&~#-]/g, "\\$&");
  return `/.*${plain}.*/i`;
}

/** The moments between which the page asks now, as a range; undefined where it is not bounded. */
export function askedRange() {
  return asked?.keys.start && asked.keys.end ? `${asked.keys.start}..${asked.keys.end}` : undefined;
}

