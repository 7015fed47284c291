// The stages of the query language, by all of their names, and what each does: the one place where the
// page knows them. A test compares it with the language.

/**
 * What a stage is to the page: `filter` takes events out by a condition, `cut` leaves some out, `order`
 * only sorts, `events` shows fields of events, `rows` makes a table.
 * @typedef {"filter" | "cut" | "order" | "events" | "rows"} Kind
 */

/** @type {Record<string, Kind>} */
export const STAGES = {
  filter: "filter",
  where: "filter",
  search: "filter",
  having: "filter",
  stats: "rows",
  summarize: "rows",
  count: "rows",
  top: "rows",
  rare: "rows",
  timeline: "rows",
  timechart: "rows",
  values: "rows",
  fields: "events",
  display: "events",
  table: "events",
  select: "events",
  project: "events",
  sort: "order",
  order: "order",
  orderby: "order",
  limit: "cut",
  head: "cut",
  take: "cut",
  dedup: "cut",
};

/** Those that are offered: other languages' names of them are understood, and not taught. */
export const OFFERED = ["stats", "count", "top", "rare", "timeline", "timechart", "values", "fields", "sort", "limit", "dedup", "filter"];

/**
 * What a stage of this name is; undefined where there is none.
 * @param {string} name
 * @returns {Kind | undefined}
 */
export function kindOf(name) {
  const lower = name.toLowerCase();
  return Object.hasOwn(STAGES, lower) ? STAGES[lower] : undefined;
}
