// Which rows of a long list are drawn: all of some hundreds, so that the browser's own search finds them;
// of more, those in sight and some around them. Pure.

/** Rows up to which all are drawn. */
export const DRAWN_MAX = 1_000;

/** Rows that are drawn above and below those in sight, and how near their end may come into sight. */
const BESIDE = 80;
const NEAR = 30;

/**
 * The rows that are drawn, the first included and the last not.
 * @param {[number, number]} before that are drawn now
 * @param {number} count of the list
 * @param {number} first row in sight
 * @param {number} last row in sight
 * @returns {[number, number]} the same array where nothing changes
 */
export function drawn(before, count, first, last) {
  if (count <= DRAWN_MAX) return before[0] === 0 && before[1] === count ? before : [0, count];
  const [from, to] = before;
  const isNear = from > Math.max(first - NEAR, 0) || to < Math.min(last + NEAR, count) || to > count || to - from > DRAWN_MAX;
  if (!isNear) return before;
  const begun = Math.min(Math.max(Math.floor(first) - BESIDE, 0), count);
  // Whoever paints them with stripes, or counts them, finds the same at each place.
  return [begun - (begun % 2), Math.max(begun, Math.min(Math.ceil(last) + BESIDE, count))];
}

/**
 * How far a list is to be scrolled so that a row is in sight; 0 where it is.
 * @param {number} top of the row, below the list's visible top
 * @param {number} height of the row
 * @param {number} room that is visible
 */
export function scrolledBy(top, height, room) {
  if (top < 0) return top;
  return top + height > room ? top + height - room : 0;
}
