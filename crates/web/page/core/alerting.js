// Asks for alerts while the view of them is shown, follows what becomes of them while somebody can see it, and
// tells the daemon what a person did. A tab that is hidden holds no connection; one that nobody has touched for
// long asks now and then.

import { batch, effect, signal, untracked } from "../vendor/preact.js";
import { PAGE, PICTURE_MAX, REQUEST_MAX, briefOf, requestOf } from "./alerts.js";
import { ask } from "./api.js";
import { newest } from "./newest.js";
import { away, extent, isLocked, place, round, status, told } from "./state.js";

/** Seconds that the daemon may wait for a change before it answers; what it says of rules is looked at so often. */
const WAIT_S = 15;

/** Between two questions: where there is something to see, where nobody has touched the page for long. */
const PAUSE_MS = 1_000;
const IDLE_PAUSE_MS = 15_000;
const IDLE_MS = 120_000;

/** While rules have not looked at all events, the daemon says no more than before when they have. */
const NOT_CURRENT_PAUSE_MS = 2_000;

/** The pause is so many times as long as it took to list what changed. */
const PAUSE_OF_TOOK = 4;

/**
 * @typedef {object} Listing
 * @property {any} found the daemon's answer; null where there is none
 * @property {number} elsewhere how many there are in all time, where there are none in this
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {import("../vendor/preact.js").Signal<Listing>} */
export const listing = signal({ found: null, elsewhere: 0, isBusy: false, error: "" });

/**
 * @typedef {object} Picture what timeline and groups are made of
 * @property {import("./alerts.js").Brief[]} briefs
 * @property {number} total that there are
 * @property {string} range of the time that they are of
 * @property {number} at when they were asked for
 * @property {boolean} isBusy
 * @property {string} error
 */

/** @type {import("../vendor/preact.js").Signal<Picture | null>} */
export const picture = signal(null);

/**
 * The alert that is open.
 * @type {import("../vendor/preact.js").Signal<{id: string, alert: any, error: string}>}
 */
export const opened = signal({ id: "", alert: null, error: "" });

/** Ids of the alerts that are chosen, to do something with all of them. */
/** @type {import("../vendor/preact.js").Signal<Set<string>>} */
export const chosen = signal(new Set());

/** Whether the list is scrolled: it stands still then. */
export const isScrolled = signal(false);

/** Whether there is something new that the list does not show, because somebody reads it. */
export const hasNews = signal(false);

/** Goes up with each change. */
const version = signal(0);

const [ofList, ofOpened, following] = [newest(), newest(), newest()];

/** When the page was touched last. */
let touched = Date.now();

/** Whether somebody reads the list, so that it is to stand still. */
export function isHeld() {
  return isScrolled.value || chosen.value.size > 0;
}

/** Lists what is new. */
export function release() {
  void refresh(true);
}

/** Asks whenever the view is shown and what it shows changes. */
export function start() {
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(kind, () => void (touched = Date.now()), { passive: true });
  let last = "";
  let isOn = false;
  effect(() => {
    const { view, range, alerts } = place.value;
    const isReady = view === "alerts" && status.value !== undefined && !isLocked.value && away.value === "";
    const { state, level, rule, words, offset } = alerts;
    const key = JSON.stringify([range, state, level, rule, words, offset, round.value]);
    if (!isReady) {
      if (isOn) following.end();
      isOn = false;
      return;
    }
    if (isOn && key === last) return;
    last = key;
    untracked(() => {
      chosen.value = new Set();
      if (isOn) void refresh(true);
      else void follow(following.next());
    });
    isOn = true;
  });
  let lastOpened = "";
  effect(() => {
    const { view, alerts } = place.value;
    const isReady = view === "alerts" && status.value !== undefined && !isLocked.value && away.value === "";
    const key = JSON.stringify([isReady, alerts.id, version.value, round.value]);
    if (key === lastOpened) return;
    lastOpened = key;
    if (isReady) untracked(() => void open(alerts.id));
  });
  effect(() => {
    // As soon as nobody reads any more.
    if (!isHeld() && untracked(() => hasNews.value)) untracked(release);
  });
}

/** Whether timeline and groups are to be made anew; a question that replaces another one owes that, too. */
let isOwed = false;

/**
 * Asks for the list, and where it may have changed, for what timeline and groups are made of.
 * @param {boolean} isWhole
 */
async function refresh(isWhole) {
  const signal = ofList.next();
  isOwed ||= isWhole;
  const { offset } = place.value.alerts;
  batch(() => {
    hasNews.value = false;
    listing.value = { ...listing.value, isBusy: true };
    if (picture.value && isOwed) picture.value = { ...picture.value, isBusy: true };
  });
  try {
    const found = await asked({ limit: PAGE, offset }, signal);
    const isElsewhere = found.total === 0 && place.value.range !== "all";
    const elsewhere = isElsewhere ? (await asked({ limit: 0, offset: 0 }, signal, "all")).total : 0;
    if (signal.aborted) return;
    listing.value = { found, elsewhere, isBusy: false, error: "" };
    if (isOwed || picture.value?.total !== found.total) await draw(found, signal);
  } catch (error) {
    if (signal.aborted) return;
    // What was shown before is of another question.
    batch(() => {
      listing.value = { found: null, elsewhere: 0, isBusy: false, error: told(error) };
      picture.value = null;
    });
  }
}

/**
 * @param {{limit: number, offset: number}} part
 * @param {AbortSignal} signal
 * @param {string} [range] in place of the one that is shown
 */
async function asked(part, signal, range = place.value.range) {
  const found = await ask(`/v1/alerts?${requestOf({ ...place.value, range }, extent(), Date.now(), part)}`, { signal });
  signal.throwIfAborted();
  return found;
}

/**
 * Takes all alerts that a list is the beginning of, as many as a page can draw.
 * @param {{alerts: any[], total: number}} list
 * @param {AbortSignal} signal
 */
async function draw(list, signal) {
  const { range } = place.value;
  const isAll = place.value.alerts.offset === 0 && list.alerts.length >= list.total;
  /** @type {Map<string, import("./alerts.js").Brief>} */
  const briefs = new Map(isAll ? list.alerts.map((alert) => [alert.id, briefOf(alert)]) : []);
  let { total } = list;
  try {
    for (let offset = 0; !isAll && offset < Math.min(total, PICTURE_MAX); offset += REQUEST_MAX) {
      const found = await asked({ limit: REQUEST_MAX, offset }, signal);
      total = found.total;
      // One that came meanwhile pushes others to the next part.
      for (const alert of found.alerts) briefs.set(alert.id, briefOf(alert));
    }
    if (!signal.aborted) picture.value = { briefs: [...briefs.values()], total, range, at: Date.now(), isBusy: false, error: "" };
    if (!signal.aborted) isOwed = false;
  } catch (error) {
    if (!signal.aborted) picture.value = { briefs: [], total, range, at: Date.now(), isBusy: false, error: told(error) };
  }
}

/** @param {string} id */
async function open(id) {
  const signal = ofOpened.next();
  if (id === "") {
    opened.value = { id: "", alert: null, error: "" };
    return;
  }
  if (opened.value.id !== id) {
    const listed = listing.value.found?.alerts.find((/** @type {any} */ alert) => alert.id === id);
    opened.value = { id, alert: listed ?? null, error: "" };
  }
  try {
    for (const withdrawn of ["false", "true"]) {
      const { alerts } = await ask(`/v1/alerts?${new URLSearchParams({ id, withdrawn, limit: "1" })}`, { signal });
      if (signal.aborted) return;
      if (alerts.length === 0) continue;
      opened.value = { id, alert: alerts[0], error: "" };
      return;
    }
    opened.value = { id, alert: null, error: "There is no such alert: it was dropped, or the alerts were made anew." };
  } catch (error) {
    if (!signal.aborted) opened.value = { id, alert: null, error: told(error) };
  }
}

/** @param {AbortSignal} signal */
async function follow(signal) {
  /** @type {{log: string, last: number} | null} */
  let known = null;
  while (!signal.aborted) {
    let pause = PAUSE_MS;
    try {
      const isIdle = Date.now() - touched > IDLE_MS;
      const waits = known !== null && !isIdle && listing.value.found?.rules.is_current !== false;
      const now = await changes(known?.last ?? 0, waits, signal);
      if (now === null) {
        await seen(signal);
        continue;
      }
      const hasChanged = known?.log !== now.log || known.last !== now.last;
      const isFirst = known === null;
      known = now;
      const started = Date.now();
      if (hasChanged) version.value += 1;
      // Rules have looked at more, or the time has gone on, though no alert changed.
      if (isFirst || !isHeld()) await refresh(hasChanged);
      else if (hasChanged) hasNews.value = true;
      const isBehind = listing.value.found?.rules.is_current === false;
      pause = Math.max(isIdle ? IDLE_PAUSE_MS : isBehind ? NOT_CURRENT_PAUSE_MS : PAUSE_MS, (Date.now() - started) * PAUSE_OF_TOOK);
    } catch (error) {
      if (signal.aborted) return;
      listing.value = { ...listing.value, isBusy: false, error: told(error) };
      pause = IDLE_PAUSE_MS;
    }
    await paused(pause, signal);
    await seen(signal);
  }
}

/**
 * The number of the newest change; null where the page is hidden before there is an answer.
 * @param {number} after
 * @param {boolean} waits for a change
 * @param {AbortSignal} signal
 * @returns {Promise<{log: string, last: number} | null>}
 */
async function changes(after, waits, signal) {
  const said = new URLSearchParams({ after: String(after), limit: "1", wait: waits ? String(WAIT_S) : "0" });
  const attempt = new AbortController();
  const end = () => attempt.abort();
  const hide = () => document.hidden && end();
  signal.addEventListener("abort", end);
  if (waits) document.addEventListener("visibilitychange", hide);
  try {
    const { log, last } = await ask(`/v1/alerts/changes?${said}`, { signal: attempt.signal });
    return { log, last };
  } catch (error) {
    if (attempt.signal.aborted && !signal.aborted) return null;
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
    document.removeEventListener("visibilitychange", hide);
  }
}

/**
 * Waits until the page can be seen.
 * @param {AbortSignal} signal
 */
function seen(signal) {
  return /** @type {Promise<void>} */ (new Promise((done) => {
    const wasHidden = document.hidden;
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      if (wasHidden) touched = Date.now();
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  }));
}

/**
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function paused(ms, signal) {
  return /** @type {Promise<void>} */ (new Promise((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    }
    signal.addEventListener("abort", end);
  }));
}

/**
 * Tells the daemon what a person did. Returns why it was refused; empty where it was not.
 * @param {string[]} ids
 * @param {{state?: string, note?: string}} what
 */
export async function change(ids, what) {
  try {
    for (let from = 0; from < ids.length; from += REQUEST_MAX) await ask("/v1/alerts", { body: { ids: ids.slice(from, from + REQUEST_MAX), ...what } });
    chosen.value = new Set();
    return "";
  } catch (error) {
    return told(error);
  } finally {
    version.value += 1;
    await refresh(true);
  }
}
