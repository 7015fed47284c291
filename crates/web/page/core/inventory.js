// Asks what the view of the archive shows, while it is shown: what the archive covers, and its files.

import { effect, signal, untracked } from "../vendor/preact.js";
import { GROUPS_MAX, isOfCell, spanOf, windowOf } from "./archive.js";
import { ask } from "./api.js";
import { newest } from "./newest.js";
import { away, extent, isLocked, place, round, status, told } from "./state.js";
import { moment } from "./time.js";

/** Files that are listed at first, and at most: what a page shows without being slow. */
const FILES = 100;
export const FILES_MAX = 1_000;

/** Files that are looked at for those of a day or an hour, the daemon's most. */
const LOOKED_MAX = 10_000;

/**
 * @typedef {object} Covered
 * @property {any} found the daemon's answer; null where there is none
 * @property {[number, number]} span
 * @property {boolean} isByHour
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {import("../vendor/preact.js").Signal<Covered | null>} */
export const covered = signal(null);

/**
 * @typedef {object} Files
 * @property {any[]} files
 * @property {number} total that the daemon finds, of all accounts and regions
 * @property {number} looked at, of these
 * @property {number} at when they were asked for
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {Files} */
const NO_FILES = { files: [], total: 0, looked: 0, at: 0, isBusy: false, error: "" };

/** @type {import("../vendor/preact.js").Signal<Files>} */
export const files = signal(NO_FILES);

const [ofMap, ofFiles] = [newest(), newest()];

let limit = FILES;

/** Asks whenever the view is shown and what it shows changes. */
export function start() {
  let [lastMap, lastFiles] = ["", ""];
  effect(() => {
    const { view, inventory } = place.value;
    const isReady = status.value !== undefined && !isLocked.value && away.value === "";
    const { until, day, account, state, path, cell } = inventory;
    const map = JSON.stringify([until, day, account, round.value]);
    const list = JSON.stringify([state, path, cell, round.value]);
    if (view !== "archive" || !isReady) return;
    if (map !== lastMap) untracked(() => void askMap());
    if (list !== lastFiles) {
      limit = FILES;
      untracked(() => void askFiles());
    }
    [lastMap, lastFiles] = [map, list];
  });
}

async function askMap() {
  const signal = ofMap.next();
  const { inventory } = place.value;
  const span = windowOf(inventory, extent());
  const isByHour = inventory.day !== "";
  if (!span) {
    covered.value = null;
    return;
  }
  const said = new URLSearchParams({ by: `account,region,${isByHour ? "hour" : "day"}`, limit: String(GROUPS_MAX) });
  said.set("start", moment(span[0]));
  said.set("end", moment(span[1]));
  if (inventory.account !== null) said.set("account", inventory.account);
  if (covered.value) covered.value = { ...covered.value, isBusy: true };
  try {
    const found = await ask(`/v1/coverage?${said}`, { signal });
    if (!signal.aborted) covered.value = { found, span, isByHour, isBusy: false, error: "" };
  } catch (error) {
    // What was shown before is of another question.
    if (!signal.aborted) covered.value = { found: null, span, isByHour, isBusy: false, error: told(error) };
  }
}

async function askFiles() {
  const signal = ofFiles.next();
  const { state, path, cell } = place.value.inventory;
  // The daemon tells files by time, and not by account and region.
  const said = new URLSearchParams({ limit: String(cell ? LOOKED_MAX : limit) });
  if (state) said.set("state", state);
  if (path) said.set("path", path);
  if (cell) {
    const [start, end] = spanOf(cell.time);
    said.set("start", moment(start));
    said.set("end", moment(end));
  }
  files.value = { ...files.value, isBusy: true };
  try {
    const found = await ask(`/v1/files?${said}`, { signal });
    if (signal.aborted) return;
    const listed = cell ? found.files.filter((/** @type {any} */ file) => isOfCell(file, cell)) : found.files;
    files.value = { files: listed, total: found.total, looked: found.files.length, at: Date.now(), isBusy: false, error: "" };
  } catch (error) {
    if (!signal.aborted) files.value = { ...NO_FILES, error: told(error) };
  }
}

/** Whether more files can be listed. */
export function hasMore() {
  const { total, looked } = files.value;
  return looked < total && looked >= limit && limit < FILES_MAX && place.value.inventory.cell === null;
}

/** Lists more files. */
export function moreFiles() {
  limit = FILES_MAX;
  void askFiles();
}
