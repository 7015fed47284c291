// How the daemon cuts time into bars: by the clocks of a zone, as `crates/search/src/bins.rs` does. A day on
// which clocks are set, and a month, are as long as they are.

import { ahead } from "./time.js";
import { counted } from "./text.js";

const DAY = 86400e3;

/** @type {Record<string, [string, number]>} names of units, and their milliseconds; a month has none */
const UNITS = { s: ["second", 1e3], m: ["minute", 60e3], h: ["hour", 3600e3], d: ["day", DAY], w: ["week", 7 * DAY], mo: ["month", 0] };

/** Weeks begin on a Monday; 1970 began on a Thursday. */
const MONDAY = 4 * DAY;

/** @param {string} width as a query has it */
function partsOf(width) {
  const [, count, unit] = /** @type {RegExpExecArray} */ (/^(\d+)([a-z]+)$/.exec(width));
  return { count: Number(count), unit };
}

/**
 * A width in words.
 * @param {string} width as a query has it
 */
export function widthName(width) {
  const { count, unit } = partsOf(width);
  return counted(count, UNITS[unit][0]);
}

/**
 * The moment at which a zone's clocks show a time; the first, where they do twice, and the one behind the
 * leap, where they leave it out.
 * @param {number} clock milliseconds, as if the clocks were those of UTC
 * @param {string} zone
 */
function atClock(clock, zone) {
  const [before, after] = [ahead(clock - DAY, zone), ahead(clock + DAY, zone)];
  const isShown = ahead(clock - before, zone) === before || ahead(clock - after, zone) !== after;
  return clock - (isShown ? before : after);
}

/**
 * The bar that a moment is in: when it begins, and when the next one does.
 * @param {number} ms
 * @param {string} width as a query has it
 * @param {string} zone
 * @returns {[number, number]}
 */
export function barAt(ms, width, zone) {
  const { count, unit } = partsOf(width);
  const offset = ahead(ms, zone);
  const clock = ms + offset;
  if (unit === "mo") {
    const date = new Date(clock);
    const month = Math.floor((date.getUTCFullYear() * 12 + date.getUTCMonth()) / count) * count;
    const first = (/** @type {number} */ months) => atClock(Date.UTC(Math.floor(months / 12), months % 12), zone);
    return [first(month), first(month + count)];
  }
  const length = count * UNITS[unit][1];
  const origin = unit === "w" ? MONDAY : 0;
  const begun = Math.floor((clock - origin) / length) * length + origin;
  // An hour, or less, that the clocks show twice is two.
  if (length <= 3600e3) return [begun - offset, begun - offset + length];
  return [atClock(begun, zone), atClock(begun + length, zone)];
}
