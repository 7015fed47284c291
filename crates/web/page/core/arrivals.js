// What a tail keeps: events as they came, the latest first, so many at most. While somebody reads, those that
// come wait beside the list. The list has no hole: what is dropped is older than all that it shows. Pure.

/** Events that are shown, and that wait, at most; and characters of their JSON. */
export const KEPT_MAX = 1_000;
export const CHARACTERS_MAX = 16 << 20;

/**
 * @typedef {object} Arrival
 * @property {any} hit
 * @property {number} length of its JSON
 */

/**
 * @typedef {object} Arrivals
 * @property {Arrival[]} shown the latest first
 * @property {Arrival[]} waiting the latest first
 * @property {number} came in all
 * @property {number} lost of those that wait: they are no longer kept
 */

/** @type {Arrivals} */
export const NONE = { shown: [], waiting: [], came: 0, lost: 0 };

/**
 * As many of the latest as may be kept.
 * @param {Arrival[]} all the latest first
 */
function bounded(all) {
  let characters = 0;
  const end = all.findIndex(({ length }, at) => at >= KEPT_MAX || (at > 0 && (characters += length) > CHARACTERS_MAX));
  return end < 0 ? all : all.slice(0, end);
}

/**
 * With events that came, the earliest first.
 * @param {Arrivals} arrivals
 * @param {Arrival[]} news
 * @param {boolean} isHeld whether they are to wait
 * @returns {Arrivals}
 */
export function arrived(arrivals, news, isHeld) {
  const all = [...news.toReversed(), ...arrivals.waiting];
  const waiting = bounded(all);
  const next = { ...arrivals, waiting, came: arrivals.came + news.length, lost: arrivals.lost + all.length - waiting.length };
  return isHeld ? next : released(next);
}

/**
 * With those that wait in the list. Where some that waited are lost, the list begins behind these.
 * @param {Arrivals} arrivals
 * @returns {Arrivals}
 */
export function released({ shown, waiting, came, lost }) {
  return { shown: bounded(lost > 0 ? waiting : [...waiting, ...shown]), waiting: [], came, lost: 0 };
}

/** How many came that are neither shown nor wait. @param {Arrivals} arrivals */
export function dropped({ shown, waiting, came }) {
  return came - shown.length - waiting.length;
}
