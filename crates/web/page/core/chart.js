// What can be drawn of a query's table: which columns are times, keys and numbers, the lines of a chart, and
// where the events of a row are. Pure.

import { barAt } from "./bars.js";
import { Digits, labels, written } from "./json.js";
import { baseOf, condition, fieldOfColumn, narrowed, stagesOf } from "./query.js";
import { moment } from "./time.js";

/** Lines of a chart with a colour of their own. */
export const LINES_MAX = 6;

/** Characters of a value that a click can ask for. */
const VALUE_MAX = 4_000;

/** A timeline's bars where its query does not say how wide they are, as the language has it. */
const WIDTH = "1h";

/** @type {[string, RegExp][]} units as a bar's width has them, and the names that the language takes for them */
const UNITS = [
  ["s", /^(s|secs?|seconds?)$/i], ["m", /^(m|mins?|minutes?)$/i], ["h", /^(h|hrs?|hours?)$/i],
  ["d", /^(d|days?)$/i], ["w", /^(w|weeks?)$/i], ["mo", /^(mon?|months?)$/i],
];

/**
 * A column of a table: a time that bars begin at; a key, with its field where one is known; a number that can
 * be drawn; or something else.
 * @typedef {{role: "time" | "key" | "number" | "other", field: string | undefined}} Role
 */

/**
 * @typedef {object} Chart
 * @property {string} query
 * @property {Role[]} roles of the columns
 * @property {number} time the column of times; -1 where there is none
 * @property {number[]} keys
 * @property {number[]} numbers
 * @property {string} width of a bar in time; empty where there is none
 */

/**
 * @param {any[][]} rows
 * @param {number} index
 */
export function isNumbers(rows, index) {
  const values = rows.map((row) => row[index]).filter((value) => value !== null);
  return values.length > 0 && values.every((value) => typeof value === "number" || value instanceof Digits);
}

/**
 * The width of bars that a query asks for; empty where its table has no bars in time.
 * @param {string} query
 */
export function widthOf(query) {
  const maker = stagesOf(query).find(({ kind }) => kind === "rows");
  if (!maker) return "";
  const isTimed = maker.name === "timeline" || maker.name === "timechart";
  const said = isTimed ? /^(?:span\s*=\s*)?(\d*)\s*([a-z]+)/i.exec(maker.text) : /\bbin\s*\(\s*(?:time\s*,\s*)?(\d*)\s*([a-z]+)\s*\)/i.exec(maker.text);
  const unit = UNITS.find(([, names]) => names.test(said?.[2] ?? ""))?.[0];
  // Without a number, what stands there may be a function or `by`.
  if (!said || unit === undefined) return isTimed && !said?.[1] ? WIDTH : "";
  return `${Number(said[1] || "1") || 1}${unit}`;
}

/**
 * What the columns of a table are.
 * @param {string} query
 * @param {{columns: string[], rows: any[][]}} table
 * @returns {Chart}
 */
export function chartOf(query, { columns, rows }) {
  const isTable = stagesOf(query).some(({ kind }) => kind === "rows");
  const width = widthOf(query);
  const isTime = (/** @type {number} */ index) => rows.length > 0 && rows.every((row) => typeof row[index] === "string" && /^\d{4}-.*Z$/.test(row[index]) && !Number.isNaN(Date.parse(row[index])));
  const time = width === "" ? -1 : columns.findIndex((name, index) => name === "time" && isTime(index));
  const roles = columns.map((name, index) => {
    const field = fieldOfColumn(query, name);
    /** @type {Role["role"]} */
    let role = "other";
    if (index === time) role = "time";
    else if (field !== undefined && field !== "time") role = "key";
    else if (isTable && isNumbers(rows, index)) role = "number";
    else if (rows.some((row) => typeof row[index] === "string") && rows.every((row) => row[index] === null || typeof row[index] === "string")) role = "key";
    return { role, field: role === "key" && field !== "time" ? field : undefined };
  });
  const of = (/** @type {Role["role"]} */ role) => roles.flatMap((one, index) => (one.role === role ? [index] : []));
  return { query, roles, time, keys: of("key"), numbers: of("number"), width: time < 0 ? "" : width };
}

/** Whether there is something to draw. @param {Chart} chart @param {any[][]} rows */
export function canDraw({ time, keys, numbers }, rows) {
  return rows.length > 0 && numbers.length > 0 && (time >= 0 || keys.length > 0);
}

/** Whether numbers of this column can stand on each other: counts and sums can, means and percentiles cannot. @param {string} name */
export function canStack(name) {
  return /^(count|sum)\b/i.test(name);
}

/**
 * The events of a row: its keys as conditions, its bar as a time. Undefined where they cannot be asked for.
 * @param {Chart} chart
 * @param {any[]} row
 * @param {string} zone by whose clocks bars begin
 * @param {string | undefined} asked the range that was asked about, where it is bounded
 * @param {number[]} [keys] columns whose values count; all keys where none are given
 * @returns {Partial<import("./url.js").Place> | undefined}
 */
export function leadsTo(chart, row, zone, asked, keys = chart.keys) {
  let query = baseOf(chart.query).filter;
  for (const index of keys) {
    const { field } = chart.roles[index];
    const value = row[index];
    if (field === undefined || (value !== null && written(value).length > VALUE_MAX)) return undefined;
    query = narrowed(query, condition(field, value === null ? null : written(value)));
  }
  if (chart.time < 0) return { query, event: "" };
  const [start, end] = barAt(Date.parse(row[chart.time]), chart.width, zone);
  const [from, to] = asked?.split("..").map(Date.parse) ?? [start, end];
  const range = `${moment(Math.max(start, from))}..${moment(Math.min(end, to))}`;
  return { query, range, event: "" };
}

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {any[]} row one of its rows, for its keys
 * @property {Map<number, number>} points numbers by the moments at which their bars begin
 * @property {number} sum
 */

/**
 * The lines of a chart of times, the largest first; one where there are no keys.
 * @param {Chart} chart
 * @param {any[][]} rows
 * @param {number} number the column that is drawn
 * @param {string} zone
 * @returns {{slots: [number, number][], lines: Line[]}}
 */
export function linesOf({ time, keys, width }, rows, number, zone) {
  const names = keys.map((index) => labels(rows.map((row) => row[index])));
  /** @type {Map<string, Line>} */
  const lines = new Map();
  /** @type {Map<number, number>} */
  const slots = new Map();
  for (const row of rows) {
    const at = Date.parse(row[time]);
    const label = keys.map((index, place) => names[place](row[index])).join(" · ");
    const line = lines.get(label) ?? { label, row, points: new Map(), sum: 0 };
    lines.set(label, line);
    if (!slots.has(at)) slots.set(at, barAt(at, width, zone)[1]);
    const value = Number(row[number] ?? NaN);
    if (!Number.isFinite(value)) continue;
    line.points.set(at, value);
    line.sum += value;
  }
  return { slots: [...slots].sort((a, b) => a[0] - b[0]), lines: [...lines.values()].sort((a, b) => b.sum - a.sum) };
}

/**
 * The parts of a line without a hole: where a bar has no number, a count is none, and anything else is not known.
 * @param {Line} line
 * @param {[number, number][]} slots
 * @param {boolean} isCount
 * @returns {[number, number][][]} moments, in the middle of their bars, and numbers
 */
export function strokesOf({ points }, slots, isCount) {
  /** @type {[number, number][][]} */
  const strokes = [[]];
  for (const [at, end] of slots) {
    const value = points.get(at) ?? (isCount ? 0 : undefined);
    if (value === undefined) strokes.push([]);
    else strokes[strokes.length - 1].push([(at + end) / 2, value]);
  }
  return strokes.filter((stroke) => stroke.length > 0);
}
