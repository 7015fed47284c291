// Asks what the view of the archive shows, while it is shown: what the archive covers, and its files.

import { effect, signal, untracked } from "../vendor/preact.js";
import { GROUPS_MAX, spanOf, windowOf } from "./archive.js";
import { ask } from "./api.js";
import { newest } from "./newest.js";
import { away, extent, isLocked, place, round, status, told } from "./state.js";
import { moment } from "./time.js";

/** Files that are listed at first, of a later page, and at most: what a page shows without being slow. */
const FILES = 100;
const FILES_LATER = 900;
export const FILES_MAX = 10_000;

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
 * @property {number} total that there are
 * @property {string} cursor of the next page; empty where there is none
 * @property {number} at when they were asked for
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {Files} */
const NO_FILES = { files: [], total: 0, cursor: "", at: 0, isBusy: false, error: "" };

/** @type {import("../vendor/preact.js").Signal<Files>} */
export const files = signal(NO_FILES);

const [ofMap, ofFiles] = [newest(), newest()];

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
    if (list !== lastFiles) untracked(() => void askFiles(""));
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

/** @param {string} cursor of the page; empty for the first */
async function askFiles(cursor) {
  const signal = ofFiles.next();
  const { state, path, cell } = place.value.inventory;
  const said = new URLSearchParams({ limit: String(cursor === "" ? FILES : FILES_LATER) });
  if (state) said.set("state", state);
  if (path) said.set("path", path);
  if (cell) {
    const [start, end] = spanOf(cell.time);
    said.set("start", moment(start));
    said.set("end", moment(end));
    said.set("account", cell.account);
    said.set("region", cell.region);
  }
  if (cursor !== "") said.set("cursor", cursor);
  const before = cursor === "" ? [] : files.value.files;
  files.value = { ...files.value, isBusy: true };
  try {
    const found = await ask(`/v1/files?${said}`, { signal });
    if (signal.aborted) return;
    const at = cursor === "" ? Date.now() : files.value.at;
    files.value = { files: [...before, ...found.files], total: found.total, cursor: found.cursor ?? "", at, isBusy: false, error: "" };
  } catch (error) {
    if (!signal.aborted) files.value = { ...NO_FILES, error: told(error) };
  }
}

/** Whether more files can be listed. */
export function hasMore() {
  return files.value.cursor !== "" && files.value.files.length < FILES_MAX;
}

/** Lists more files. */
export function moreFiles() {
  void askFiles(files.value.cursor);
}
