// The columns of the list of events: which, in which order, how wide. Pure.

/** The list's own columns: names as queries take them, widths as they are at first, and in pixels where others are. */
/** @type {[string, string, number][]} */
export const OWN = [
  ["time", "168px", 168],
  ["actor", "13%", 160],
  ["credential", "9%", 104],
  ["action", "auto", 190],
  ["target", "auto", 190],
  ["ip", "11%", 130],
  ["region", "8%", 96],
  ["outcome", "15%", 180],
  ["id", "82px", 82],
];

/** @type {string[]} */
export const COLUMNS = OWN.map(([name]) => name);

/** Columns at most: the list's own, and twelve. */
export const COLUMNS_MAX = COLUMNS.length + 12;

/** Widths that a column can have, and one that a person has added has at first. */
export const WIDTH_MIN = 40;
export const WIDTH_MAX = 1_600;
const ADDED = /** @type {[string, number]} */ (["14%", 170]);

/** A column's width in pixels, as a person has set it. @typedef {[string, number]} Width */

/** Whether a column is one of the list's own. @param {string} name */
export function isOwn(name) {
  return COLUMNS.includes(name);
}

/** Whether a column stays: it says when, or opens the event. @param {string} name */
export function isFixed(name) {
  return name === "time" || name === "id";
}

/**
 * The columns that an address names: all of them in their order, or those beside the list's own.
 * @param {string[]} named
 */
export function fromAddress(named) {
  const wanted = [...new Set(named)];
  const whole = wanted.some(isOwn) ? wanted : [...COLUMNS, ...wanted];
  const missing = COLUMNS.filter((name) => isFixed(name) && !whole.includes(name));
  return [...whole.slice(0, COLUMNS_MAX - missing.length), ...missing];
}

/**
 * As {@link fromAddress} takes them.
 * @param {string[]} columns
 */
export function forAddress(columns) {
  const isAsFirst = COLUMNS.every((name, at) => columns[at] === name);
  return isAsFirst ? columns.slice(COLUMNS.length) : columns;
}

/**
 * A width of an address; undefined where it is none.
 * @param {string} text
 * @param {string[]} columns
 * @returns {Width | undefined}
 */
export function widthOf(text, columns) {
  const [, digits, name] = /^(\d{2,4}) (.+)$/s.exec(text) ?? [];
  const width = Number(digits);
  return columns.includes(name) && width >= WIDTH_MIN && width <= WIDTH_MAX ? [name, width] : undefined;
}

/**
 * The columns with one at another place.
 * @param {string[]} columns
 * @param {string} name
 * @param {number} to
 */
export function moved(columns, name, to) {
  const others = columns.filter((other) => other !== name);
  const at = Math.min(Math.max(to, 0), others.length);
  return [...others.slice(0, at), name, ...others.slice(at)];
}

/**
 * The widths with one of a column; without one where it is null.
 * @param {Width[]} widths
 * @param {string} name
 * @param {number | null} width
 * @returns {Width[]}
 */
export function resized(widths, name, width) {
  const others = widths.filter(([other]) => other !== name);
  if (width === null) return others;
  return [...others, [name, Math.round(Math.min(Math.max(width, WIDTH_MIN), WIDTH_MAX))]];
}

/**
 * How columns are laid out: their widths as styles have them, and the least width of the whole; 0 where
 * the list is as wide as its place. Where a person has set a width all are in pixels, but for one that takes
 * what is left: shares of the whole would change as one is dragged.
 * @param {string[]} columns
 * @param {Width[]} widths
 * @returns {{widths: string[], least: number}}
 */
export function layout(columns, widths) {
  const first = (/** @type {string} */ name) => OWN.find(([own]) => own === name)?.slice(1) ?? ADDED;
  if (widths.length === 0) return { widths: columns.map((name) => String(first(name)[0])), least: 0 };
  const set = new Map(widths);
  const pixels = columns.map((name) => set.get(name) ?? Number(first(name)[1]));
  const free = columns.filter((name) => !set.has(name));
  const rest = ["target", "action"].find((name) => free.includes(name)) ?? free.filter((name) => !isFixed(name)).at(-1);
  return {
    widths: columns.map((name, at) => (name === rest ? "auto" : `${pixels[at]}px`)),
    least: pixels.reduce((sum, width) => sum + width, 0),
  };
}
