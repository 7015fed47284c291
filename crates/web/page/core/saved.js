// What a saved search asks, as a place of the page: its query with its parameters filled in, its times, its
// zone, its order.

import { filled, narrowed, parametersOf, quote } from "./query.js";
import { isRange, isZone, moment } from "./time.js";

/**
 * @typedef {object} SavedSearch as the API has it
 * @property {string} query
 * @property {string} [description]
 * @property {Record<string, {default?: string, description?: string}>} [parameters]
 * @property {string} [start]
 * @property {string} [end]
 * @property {string} [time_zone] UTC where there is none
 * @property {number} [limit]
 * @property {"newest" | "oldest"} [order] the newest first where there is none
 * @property {number} [owner]
 */

/**
 * Where a saved search leads. One without times is asked about the page's time.
 * @param {SavedSearch} search
 * @param {Record<string, string>} values of its parameters
 * @returns {Partial<import("./url.js").Place>}
 */
export function leadsTo(search, values) {
  const { start, end, order = "newest", time_zone: zone = "UTC" } = search;
  if (!isZone(zone)) throw new Error(`this browser does not know the time zone ${zone}`);
  const query = filled(search.query, values);
  const to = { query, zone, order, event: "" };
  if (start === undefined && end === undefined) return to;
  const range = rangeOf(start ?? "", end ?? "");
  if (range !== undefined) return { ...to, range };
  // Any other time is read by the daemon, in the query.
  const begun = start === undefined ? query : narrowed(query, `time >= ${quote(start)}`);
  return { ...to, range: "all", query: end === undefined ? begun : narrowed(begun, `time < ${quote(end)}`) };
}

/**
 * The range of the page that two times are; undefined where it has none.
 * @param {string} start
 * @param {string} end
 */
function rangeOf(start, end) {
  if (/^-\d/.test(start) && (end === "" || end === "now")) return isRange(start) ? start : undefined;
  const isExact = (/** @type {string} */ text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d)$/.test(text);
  if (!isExact(start) || !isExact(end)) return undefined;
  const range = `${moment(Date.parse(start))}..${moment(Date.parse(end))}`;
  return isRange(range) ? range : undefined;
}

/**
 * What is saved in place of another search of the same name: what the page does not ask for stays.
 * @param {SavedSearch | undefined} before
 * @param {string} query
 * @param {string} description
 */
export function replacement(before, query, description) {
  const { owner: _, ...kept } = before ?? {};
  const names = parametersOf(query);
  const parameters = Object.fromEntries(Object.entries(before?.parameters ?? {}).filter(([name]) => names.includes(name)));
  return { ...kept, query, parameters, description: description || before?.description };
}
