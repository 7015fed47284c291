// What the page shows now: one place, which the address says, and what is known of the archive.

import { batch, effect, signal } from "../vendor/preact.js";
import { Refusal, TOKEN_KEY, ask, keepToken } from "./api.js";
import { newest } from "./newest.js";
import { START, format, parse, takeToken } from "./url.js";

/** @typedef {import("./url.js").Place} Place */

/** Between two looks at the daemon, where it answers and where it does not. */
const LOOK_MS = 15_000;
const AWAY_LOOK_MS = 1_500;

/** What the views beside the events are called in the document's title. @type {Record<string, string>} */
const NAMES = { archive: "Archive", tail: "Tail", alerts: "Alerts" };

/** @type {import("../vendor/preact.js").Signal<Place>} */
export const place = signal(parse(""));

/** The daemon's status; undefined before the first answer. */
/** @type {import("../vendor/preact.js").Signal<any>} */
export const status = signal(undefined);

/** Why the daemon does not answer; empty where it does. */
export const away = signal("");

/** Whether the token is missing, or is not this port's. */
export const isLocked = signal(false);

/** Goes up when everything is to be asked again. */
export const round = signal(0);

/** What was just done, and can be undone by going back. */
export const done = signal("");

/**
 * A token of an address that was not tried yet: anybody can make a link with one, which must not take the
 * place of the one that is let in.
 */
let offered = "";

/** Takes the token out of the address, and follows the address from then on. */
export function start() {
  const arrive = () => {
    const { token, rest } = takeToken(location.hash);
    if (token) {
      offered = token;
      history.replaceState(null, "", location.pathname + location.search + rest);
    }
    batch(() => {
      place.value = parse(rest);
      done.value = "";
    });
    return token !== undefined;
  };
  arrive();
  const follow = () => {
    if (arrive()) void look();
  };
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
  // Another tab was opened with the address that 'traildex web' printed.
  addEventListener("storage", (event) => {
    if (event.key === TOKEN_KEY) unlock();
  });
  effect(() => {
    const { query, event, view } = place.value;
    const name = NAMES[view];
    document.title = name ? `${name} – traildex` : event ? `${event} – traildex` : query ? `${query} – traildex` : "traildex";
  });
  void look();
}

function unlock() {
  isLocked.value = false;
  round.value += 1;
  void look();
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let next;

const looking = newest();

/** Asks for the daemon's status, now and from time to time. */
async function look() {
  clearTimeout(next);
  const signal = looking.next();
  try {
    const found = (await tryOffered(signal)) ?? (await ask("/v1/status", { signal }));
    if (signal.aborted) return;
    batch(() => {
      const wasAway = away.value !== "";
      status.value = found;
      away.value = "";
      if (wasAway) round.value += 1;
    });
  } catch (error) {
    if (signal.aborted) return;
    told(error);
  }
  clearTimeout(next);
  if (!isLocked.value || offered !== "") next = setTimeout(() => void look(), away.value ? AWAY_LOOK_MS : LOOK_MS);
}

/**
 * Keeps the token of an address once it is let in, and returns what it was told; one that is refused is
 * forgotten.
 * @param {AbortSignal} signal
 */
async function tryOffered(signal) {
  const token = offered;
  if (token === "") return undefined;
  let found;
  try {
    found = await ask("/v1/status", { signal, token });
  } catch (error) {
    signal.throwIfAborted();
    const kind = error instanceof Refusal ? error.kind : "away";
    // Nobody has looked at it: it is tried again.
    if (kind === "away") throw error;
    if (kind === "unauthorized") {
      offered = "";
      return undefined;
    }
  }
  signal.throwIfAborted();
  offered = "";
  keepToken(token);
  if (isLocked.value) {
    isLocked.value = false;
    round.value += 1;
  }
  return found;
}

/**
 * Notes what an error says of the daemon; returns its message.
 * @param {unknown} error
 */
export function told(error) {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Refusal) {
    if (error.kind === "unauthorized") isLocked.value = true;
    else if (error.isAway && away.value === "") {
      away.value = message;
      clearTimeout(next);
      next = setTimeout(() => void look(), AWAY_LOOK_MS);
    }
  }
  return message;
}

/**
 * The place beside this one. Another event, or none, is not where the one before was. What is searched for
 * is seen among the events, and what has a time is no tail. Alerts of another time begin with their first.
 * @param {Partial<Place>} change
 * @returns {Place}
 */
function beside(change) {
  const { view, alerts } = place.value;
  const isOfEvents = change.query !== undefined || change.event !== undefined;
  const isOfTime = change.range !== undefined && view !== "alerts";
  const isSearch = isOfTime || ((view === "archive" || view === "alerts") && isOfEvents);
  const others = {
    ...(change.event === undefined ? {} : { source: "" }),
    ...(change.range === undefined ? {} : { alerts: { ...alerts, offset: 0 } }),
    ...(isSearch ? { view: START.view } : {}),
  };
  return { ...place.value, ...others, ...change };
}

/**
 * Goes to a place; the browser's back button leads back.
 * @param {Partial<Place>} change
 * @param {string} [what] what was done, if it is worth an "undo"
 */
export function go(change, what = "") {
  const to = beside(change);
  const address = format(to);
  batch(() => {
    if (address === format(place.value)) {
      round.value += 1;
      return;
    }
    history.pushState(null, "", address);
    place.value = to;
    done.value = what;
  });
}

/**
 * As {@link go}, for what is not worth a step back.
 * @param {Partial<Place>} change
 */
export function shift(change) {
  const to = beside(change);
  history.replaceState(null, "", format(to));
  place.value = to;
}

/**
 * The address of a place beside this one, for links.
 * @param {Partial<Place>} change
 */
export function addressOf(change) {
  return format(beside(change));
}

/** The first and the last time of the archive's events. */
export function extent() {
  const events = status.value?.events ?? {};
  return { first: events.first, last: events.last };
}
