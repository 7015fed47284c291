// The queries that were asked in this browser, the latest first. They are kept here and sent nowhere; so
// many at most, and none that is very long. Tabs share them.

import { effect, signal, untracked } from "../vendor/preact.js";
import { answer } from "./searches.js";

const KEY = "traildex-queries";

/** Queries that are kept, characters of one, and of all: a browser keeps 5 million for an address. */
export const KEPT_MAX = 200;
export const QUERY_MAX = 4_000;
export const CHARACTERS_MAX = 200_000;

/** @type {import("../vendor/preact.js").Signal<string[]>} */
export const queries = signal(/** @type {string[]} */ ([]));

/**
 * With a query at the front; one that is there moves to it.
 * @param {string[]} before
 * @param {string} query
 */
export function added(before, query) {
  if (query === "" || query.length > QUERY_MAX) return before;
  return bounded([query, ...before.filter((other) => other !== query)]);
}

/** @param {string[]} all */
function bounded(all) {
  let characters = 0;
  const end = all.findIndex((query, at) => at >= KEPT_MAX || (characters += query.length) > CHARACTERS_MAX);
  return end < 0 ? all : all.slice(0, end);
}

/**
 * What a browser has kept; anything may be there.
 * @param {string | null} text
 */
export function readQueries(text) {
  try {
    const found = JSON.parse(text ?? "");
    if (!Array.isArray(found)) return [];
    return bounded([...new Set(found.filter((query) => typeof query === "string" && query !== "" && query.length <= QUERY_MAX))]);
  } catch {
    return [];
  }
}

function load() {
  try {
    return readQueries(localStorage.getItem(KEY));
  } catch {
    // A browser can keep nothing for the page: then the tab remembers.
    return queries.value;
  }
}

/** @param {string[]} all */
function keep(all) {
  queries.value = all;
  try {
    localStorage.setItem(KEY, JSON.stringify(all));
  } catch {
    // As above; or there is no room.
  }
}

/** Forgets a query, or all of them. @param {string} [query] */
export function forget(query) {
  keep(query === undefined ? [] : load().filter((other) => other !== query));
}

/** Keeps each query that was answered. */
export function start() {
  queries.value = load();
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) queries.value = load();
  });
  effect(() => {
    const { query, error, total, isBusy } = answer.value;
    if (isBusy || error || !total) return;
    untracked(() => {
      // Another tab may have kept some meanwhile.
      const before = load();
      if (query !== "" && before[0] !== query) keep(added(before, query));
    });
  });
}

/**
 * A walk through the queries by the arrow keys. It begins at a text of one's own, which the way back leads to.
 * @typedef {object} Walk
 * @property {string} draft
 * @property {number} at place of the query that is shown; -1 is the draft
 * @property {string} text that is shown
 */

/**
 * The next step of a walk; undefined where there is none.
 * @param {Walk | null} walk the one so far; null where none has begun, or its text was changed
 * @param {string} text that stands there
 * @param {string[]} all
 * @param {1 | -1} step 1 to the query before, -1 back
 * @returns {Walk | undefined}
 */
export function stepped(walk, text, all, step) {
  const { draft, at } = walk?.text === text ? walk : { draft: text, at: -1 };
  let to = at + step;
  // What stands there already is no step.
  while (to >= 0 && to < all.length && all[to].trim() === text.trim()) to += step;
  if (to < -1 || to >= all.length || (at === -1 && step === -1)) return undefined;
  return { draft, at: to, text: to === -1 ? draft : all[to] };
}
