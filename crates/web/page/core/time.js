// Times: what a range means, how a moment reads in a zone, how wide a bar of the timeline is.

/**
 * `all`; `-24h`, back from now; `end-24h`, back from the archive's last event; or two moments in UTC
 * with `..` between them.
 * @typedef {string} Range
 */

/** @typedef {{first?: string, last?: string}} Extent of the archive */

/** @type {Record<string, number>} milliseconds of a unit */
const UNITS = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

export const RANGE_DEFAULT = "end-1d";

/** @type {[Range, string][]} */
export const PRESETS = [
  ["end-1h", "Archive's last hour"],
  ["end-1d", "Archive's last day"],
  ["end-7d", "Archive's last 7 days"],
  ["end-30d", "Archive's last 30 days"],
  ["all", "All of the archive"],
  ["-15m", "Last 15 minutes"],
  ["-1h", "Last hour"],
  ["-1d", "Last 24 hours"],
  ["-7d", "Last 7 days"],
  ["-30d", "Last 30 days"],
];

/**
 * Whether a text is a range; what comes out of an address may be anything.
 * @param {string} text
 */
export function isRange(text) {
  if (text === "all" || /^(end)?-\d{1,6}[smhdw]$/.test(text)) return true;
  const [from, to, ...more] = text.split("..");
  return more.length === 0 && to !== undefined && isMoment(from) && isMoment(to) && from < to;
}

/** @param {string} text */
function isMoment(text) {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

/**
 * A moment in UTC to the second, or to the millisecond where it has any.
 * @param {number} ms
 */
export function moment(ms) {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

/**
 * The moments between which a range asks, the first included and the last not; without an end where
 * that is not known or not bounded.
 * @param {Range} range
 * @param {Extent} extent
 * @param {number} now
 * @returns {{start?: string, end?: string}}
 */
export function resolve(range, extent, now) {
  if (range === "all") return {};
  const relative = /^(end)?-(\d+)([smhdw])$/.exec(range);
  if (!relative) {
    const [start, end] = range.split("..");
    return { start, end };
  }
  const length = Number(relative[2]) * UNITS[relative[3]];
  if (!relative[1]) return { start: moment(now - length), end: moment(now) };
  if (!extent.last) return {};
  // The last event is in the range.
  const end = Math.floor(Date.parse(extent.last) / 1e3) * 1e3 + 1e3;
  return { start: moment(end - length), end: moment(end) };
}

/**
 * The same range for whoever opens a link later.
 * @param {Range} range
 * @param {Extent} extent
 * @param {number} now
 */
export function absolute(range, extent, now) {
  const { start, end } = resolve(range, extent, now);
  return start && end ? `${start}..${end}` : range;
}

/**
 * A range in words.
 * @param {Range} range
 * @param {string} zone
 */
export function named(range, zone) {
  const preset = PRESETS.find(([value]) => value === range);
  if (preset) return preset[1];
  const [from, to] = range.split("..");
  if (to === undefined) return range.startsWith("end") ? `Archive's last ${range.slice(4)}` : `Last ${range.slice(1)}`;
  return `${shown(from, zone)} – ${shown(to, zone)}`;
}

/** The zones that are offered first. */
export const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** @param {string} zone */
export function isZone(zone) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * The clock's parts at a moment in a zone.
 * @param {number} ms
 * @param {string} zone
 */
function clock(ms, zone) {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, format);
  }
  /** @type {Record<string, string>} */
  const parts = {};
  for (const { type, value } of format.formatToParts(ms)) parts[type] = value;
  return parts;
}

/**
 * A time of an answer in a zone, `2023-07-10 13:42:36`; what is no time stays.
 * @param {string} text
 * @param {string} zone
 */
export function shown(text, zone) {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z$/.exec(text);
  if (!match) return text;
  if (zone === "UTC") return `${match[1]} ${match[2]}${match[3] ?? ""}`;
  const { year, month, day, hour, minute, second } = clock(Date.parse(text), zone);
  return `${year}-${month}-${day} ${hour}:${minute}:${second}${match[3] ?? ""}`;
}

/**
 * How far a zone's clock is ahead of UTC at a moment, in milliseconds.
 * @param {number} ms
 * @param {string} zone
 */
export function ahead(ms, zone) {
  const { year, month, day, hour, minute, second } = clock(ms, zone);
  const whole = Math.floor(ms / 1e3) * 1e3;
  return Date.UTC(+year, +month - 1, +day, +hour, +minute, +second) - whole;
}

/**
 * The moment that a person means by `2023-07-10 13:42` in a zone; undefined where it is no time.
 * @param {string} text
 * @param {string} zone
 */
export function meant(text, zone) {
  const match = /^\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?\s*(Z?)\s*$/.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  if (date.getUTCMonth() !== month - 1 || hour > 23 || minute > 59 || second > 59) return undefined;
  const asUtc = date.getTime();
  if (match[7] || zone === "UTC") return moment(asUtc);
  // The second guess is right where the clocks are set in between.
  const guess = asUtc - ahead(asUtc, zone);
  return moment(asUtc - ahead(guess, zone));
}

/** @type {[string, number][]} widths of bars, as a query has them, and about how long they are */
const WIDTHS = [
  ["1s", 1e3], ["5s", 5e3], ["10s", 10e3], ["30s", 30e3],
  ["1m", 60e3], ["5m", 300e3], ["10m", 600e3], ["30m", 1800e3],
  ["1h", 3600e3], ["3h", 3 * 3600e3], ["6h", 6 * 3600e3], ["12h", 12 * 3600e3],
  ["1d", 86400e3], ["1w", 7 * 86400e3], ["1mo", 30 * 86400e3],
];

/** Bars of a timeline at most, but for one of years. */
const BARS_MAX = 120;

/**
 * How wide a bar is, as a query has it.
 * @param {number} length milliseconds of the whole
 */
export function width(length) {
  const [name] = WIDTHS.find(([, ms]) => length / ms <= BARS_MAX) ?? WIDTHS[WIDTHS.length - 1];
  return name;
}

/**
 * Moments that an axis names, and what they are called there.
 * @param {number} start
 * @param {number} end
 * @param {string} zone
 * @returns {{at: number, text: string}[]}
 */
export function ticks(start, end, zone) {
  const steps = [1e3, 5e3, 15e3, 60e3, 300e3, 900e3, 3600e3, 3 * 3600e3, 6 * 3600e3, 12 * 3600e3, 86400e3, 7 * 86400e3, 30 * 86400e3, 91 * 86400e3, 365 * 86400e3];
  const step = steps.find((ms) => (end - start) / ms <= 9) ?? steps[steps.length - 1];
  const shift = ahead(start, zone);
  const found = [];
  let day = "";
  for (let at = Math.ceil((start + shift) / step) * step - shift; at < end && found.length < 40; at += step) {
    const [date, time] = shown(moment(at), zone).split(" ");
    const clockTime = step < 60e3 ? time.slice(0, 8) : time.slice(0, 5);
    const text = step >= 86400e3 ? date : date === day ? clockTime : `${date.slice(5)} ${clockTime}`;
    day = date;
    found.push({ at, text });
  }
  return found;
}
