// Asks what the page shows: the events or the table first, then the timeline and the facets, which the
// list does not wait for. A new question ends those before it.

import { batch, effect, signal, untracked } from "../vendor/preact.js";
import { Refusal, ask, askText } from "./api.js";
import { barAt } from "./bars.js";
import { labels, parse } from "./json.js";
import { newest } from "./newest.js";
import { baseOf, split } from "./query.js";
import { away, extent, isLocked, place, round, status, told } from "./state.js";
import { absolute, resolve, width } from "./time.js";
import { format } from "./url.js";

/** Events of a page, of one further down, and from where on; and rows of a table. */
const PAGE = 100;
const PAGE_LATER = 500;
const LATER = 300;
const ROWS_MAX = 1_000;

/** Events that the list keeps, and characters of their JSON: what a tab has room for. */
export const LIST_MAX = 10_000;
const LIST_CHARACTERS_MAX = 32 << 20;

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
 * @property {boolean} isCut whether its stages leave out events that its filter finds
 * @property {any[]} hits
 * @property {{columns: string[], rows: any[][], rows_total: number, exact: boolean} | null} table
 * @property {{value: number, exact: boolean} | null} total
 * @property {string | null} cursor
 * @property {number} characters of the JSON of the hits
 * @property {boolean} isFull whether the list keeps no more hits
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
  isCut: false,
  hits: [],
  table: null,
  total: null,
  cursor: null,
  characters: 0,
  isFull: false,
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
 * @property {string} width of a bar, as a query has it
 * @property {string} zone by whose clocks bars begin
 * @property {{at: number, end: number, counts: Map<string, number>}[]} bars
 * @property {string[]} values the most frequent first
 * @property {string} note
 * @property {boolean} isBusy
 */

/** @type {import("../vendor/preact.js").Signal<Timeline | null>} */
export const timeline = signal(null);

/** @type {import("../vendor/preact.js").Signal<{account: string, region: string, start: string, end: string}[]>} */
export const gaps = signal([]);

/** Why it is not known what the archive does not cover; empty where it is known. */
export const gapsError = signal("");

/**
 * @typedef {object} Facet
 * @property {[any, number][]} rows
 * @property {number} distinct
 * @property {number} total of the events that were counted
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {import("../vendor/preact.js").Signal<Record<string, Facet>>} */
export const facets = signal({});

/** The facets that are open, each with how many values it shows and what is looked for in it. */
/** @type {import("../vendor/preact.js").Signal<Record<string, {limit: number, search: string}>>} */
export const wanted = signal({});

/** What is asked, each replaced by the next one of its kind. */
const [main, ofTimeline, ofGaps] = [newest(), newest(), newest()];

/** @type {Map<string, ReturnType<typeof newest>>} */
const ofFacets = new Map();

/** The signal of the list that is shown, for its next pages. */
let current = main.next();

/** What is asked about now: for the facets, which are asked for one by one. */
/** @type {{filter: string, keys: Record<string, string>, range: string} | null} */
let asked = null;

/** The order in which it is asked for. */
/** @type {"newest" | "oldest"} */
let askedOrder = "newest";

/** Asks whenever the place changes in what is asked. */
export function start() {
  let last = "";
  effect(() => {
    const { query, range, order, zone, by, view } = place.value;
    const isReady = view === "events" && status.value !== undefined && !isLocked.value && away.value === "";
    const key = JSON.stringify([query, range, order, zone, round.value]);
    if (!isReady) return;
    if (key !== last) {
      last = key;
      untracked(() => void begin());
    } else if (timelineBy !== "" && by !== timelineBy) {
      untracked(() => void askTimeline());
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
  current = main.next();
  const signal = current;
  for (const one of [ofTimeline, ofGaps, ...ofFacets.values()]) one.end();
  timelineBy = "";
  const { query, range, order, zone } = place.value;
  const { start, end } = resolve(range, extent(), Date.now());
  const { filter, isCut } = baseOf(query);
  /** @type {Record<string, string>} */
  const keys = { time_zone: zone };
  if (start) keys.start = start;
  if (end) keys.end = end;
  asked = { filter, keys, range };
  askedOrder = order;
  batch(() => {
    answer.value = { ...answer.value, isBusy: true };
    facets.value = Object.fromEntries(
      Object.entries(facets.value).map(([field, facet]) => [field, { ...facet, isBusy: true }]),
    );
  });
  const found = await askMain({ query, order, empty: true, limit: split(query).stages ? ROWS_MAX : PAGE, ...keys }, isCut, signal);
  if (!found || signal.aborted) return;
  void askTimeline();
  facetsDone.clear();
  void askFacets();
  void askGaps(keys);
}

/**
 * @param {Record<string, any>} body
 * @param {boolean} isCut
 * @param {AbortSignal} signal
 */
async function askMain(body, isCut, signal) {
  try {
    const found = await ask("/v1/search", { body, signal });
    if (signal.aborted) return false;
    answer.value = { ...NOTHING, ...partsOf(found), query: body.query, isCut };
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
  if (before.isBusy || !before.cursor || before.isFull || !asked) return;
  const signal = current;
  answer.value = { ...before, isBusy: true };
  const limit = before.hits.length < LATER ? PAGE : PAGE_LATER;
  const body = { query: before.query, order: place.value.order, limit, cursor: before.cursor, total: "none", ...asked.keys };
  try {
    const text = await askText("/v1/search", { body, signal });
    if (signal.aborted) return;
    const found = parse(text);
    const warnings = [...new Set([...before.warnings, ...(found.warnings ?? [])])];
    const hits = [...before.hits, ...found.hits];
    const characters = before.characters + text.length;
    const isFull = hits.length >= LIST_MAX || characters >= LIST_CHARACTERS_MAX;
    answer.value = { ...before, hits, characters, isFull, cursor: found.cursor ?? null, warnings };
  } catch (error) {
    if (signal.aborted) return;
    const message = told(error);
    answer.value = { ...before, isBusy: false, warnings: [...before.warnings, `The next events: ${message}`] };
  }
}

async function askTimeline() {
  if (!asked) return;
  const signal = ofTimeline.next();
  const { filter, keys } = asked;
  const { first, last } = extent();
  const start = Date.parse(keys.start ?? first ?? "");
  const end = keys.end ? Date.parse(keys.end) : Date.parse(last ?? "") + 1e3;
  const { by } = place.value;
  timelineBy = by;
  if (!(end > start)) {
    timeline.value = null;
    return;
  }
  const name = width(end - start);
  const zone = keys.time_zone;
  const body = { limit: CELLS_MAX, total: "none", ...keys };
  if (timeline.value) timeline.value = { ...timeline.value, isBusy: true };
  try {
    let found = await ask("/v1/search", { body: { ...body, query: `${filter || "*"} | timeline ${name} by ${by}` }, signal });
    let note = "";
    if (found.table.rows_total > found.table.rows.length) {
      note = `${by} has too many values to break the bars down`;
      found = await ask("/v1/search", { body: { ...body, query: `${filter || "*"} | timeline ${name}` }, signal });
    }
    if (signal.aborted) return;
    const { bars, values } = barsOf(found.table);
    const drawn = bars.map((bar) => ({ ...bar, end: barAt(bar.at, name, zone)[1] }));
    timeline.value = { start, end, width: name, zone, note, isBusy: false, bars: drawn, values };
  } catch (error) {
    if (signal.aborted) return;
    const note = `No timeline: ${told(error)}`;
    timeline.value = { start, end, width: name, zone, bars: [], values: [], note, isBusy: false };
  }
}

/** @param {{columns: string[], rows: any[][]}} table */
function barsOf(table) {
  /** @type {Map<number, Map<string, number>>} */
  const bars = new Map();
  /** @type {Map<string, number>} */
  const totals = new Map();
  const label = labels(table.rows.map((row) => row[1]));
  for (const row of table.rows) {
    const at = Date.parse(row[0]);
    const value = row.length > 2 ? label(row[1]) : "events";
    const count = Number(row[row.length - 1]);
    const counts = bars.get(at) ?? new Map();
    counts.set(value, (counts.get(value) ?? 0) + count);
    bars.set(at, counts);
    totals.set(value, (totals.get(value) ?? 0) + count);
  }
  const values = [...totals].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  return { bars: [...bars].map(([at, counts]) => ({ at, counts })), values };
}

/** @param {Record<string, string>} keys */
async function askGaps(keys) {
  const signal = ofGaps.next();
  const said = new URLSearchParams({ by: "account", limit: "1" });
  if (keys.start) said.set("start", keys.start);
  if (keys.end) said.set("end", keys.end);
  try {
    const found = await ask(`/v1/coverage?${said}`, { signal });
    if (signal.aborted) return;
    batch(() => {
      gaps.value = found.gaps;
      gapsError.value = "";
    });
  } catch (error) {
    if (signal.aborted) return;
    // Not told as other errors: the daemon answers, and its picture may not be there yet.
    batch(() => {
      gaps.value = [];
      gapsError.value = error instanceof Error ? error.message : String(error);
    });
  }
}

/** What each facet was last asked as, so that none is asked twice. */
/** @type {Map<string, string>} */
const facetsDone = new Map();
let facetsRunning = 0;

async function askFacets() {
  if (!asked || facetsRunning >= FACETS_AT_ONCE) return;
  const of = asked;
  const next = Object.entries(wanted.value).find(
    ([field, how]) => facetsDone.get(field) !== `${how.limit} ${how.search}`,
  );
  if (!next) return;
  const [field, { limit, search }] = next;
  facetsDone.set(field, `${limit} ${search}`);
  const one = ofFacets.get(field) ?? newest();
  ofFacets.set(field, one);
  const signal = one.next();
  facetsRunning += 1;
  // Another beside it.
  void askFacets();
  const before = facets.value[field];
  /** @param {Facet} facet */
  const set = (facet) => {
    if (asked === of && !signal.aborted) facets.value = { ...facets.value, [field]: facet };
  };
  try {
    const inside = search ? ` | filter ${field}:${pattern(search)}` : "";
    const body = { query: `${of.filter || "*"} | count by ${field}${inside}`, limit, ...of.keys };
    const found = await ask("/v1/search", { body, signal });
    set({ rows: found.table.rows, distinct: found.table.rows_total, total: Number(found.total?.value ?? 0), isBusy: false, error: "" });
  } catch (error) {
    if (!signal.aborted) set({ rows: before?.rows ?? [], distinct: 0, total: 0, isBusy: false, error: told(error) });
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

/**
 * The moments between which the page asked for a range last, as one that stands still; undefined where it
 * did not ask for this one, or is not bounded.
 * @param {string} range
 */
export function askedRange(range) {
  if (asked?.range !== range) return undefined;
  return asked.keys.start && asked.keys.end ? `${asked.keys.start}..${asked.keys.end}` : undefined;
}

/**
 * The export of what is shown; null where nothing is, or something else is being asked for.
 * @returns {Record<string, string> | null}
 */
export function exportOf() {
  const { isBusy, error, query, total } = answer.value;
  if (isBusy || error || !total || !asked) return null;
  return { query, order: askedOrder, ...asked.keys };
}

/** A link to this view that means the same tomorrow: its times are those of what is shown. */
export function lastingLink() {
  const { range } = place.value;
  // Now is later than when it was asked, and the archive may have grown since.
  const lasting = askedRange(range) ?? absolute(range, extent(), Date.now());
  return location.origin + location.pathname + format({ ...place.value, range: lasting });
}
