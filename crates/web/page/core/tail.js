// New events as they come into the index, while the view of them is shown. Where the stream breaks, it is
// asked for again behind the last event; where that cannot be, the page says that events may be missing.

import { batch, effect, signal, untracked } from "../vendor/preact.js";
import { Refusal, askStream } from "./api.js";
import { NONE, arrived, released } from "./arrivals.js";
import { parse } from "./json.js";
import { newest } from "./newest.js";
import { Stream } from "./sse.js";
import { isLocked, place, status, told } from "./state.js";

/** Between two tries, at first and at most. */
const PAUSE_MS = 1_000;
const PAUSE_MAX_MS = 10_000;

/** The daemon says something every 15 seconds; where it is silent for so long, the stream is dead. */
const SILENT_MS = 45_000;

/** How often the list is drawn at most, however many events come. */
const DRAW_MS = 150;

/** What may be missing is told so many times; more are counted. */
const MISSES_MAX = 5;

/** @type {import("../vendor/preact.js").Signal<import("./arrivals.js").Arrivals>} */
export const arrivals = signal(NONE);

/** Whether the list is scrolled: events that come wait then. */
export const isScrolled = signal(false);

/**
 * @typedef {object} Tailing
 * @property {"off" | "asking" | "on" | "broken" | "refused"} state
 * @property {string} error why it is broken or refused
 * @property {number} since when it has begun
 * @property {string[]} warnings how the query was taken
 * @property {[number, number][]} misses from when to when events may have come that are not here
 * @property {number} missesLeft that are not among these
 */

/** @type {Tailing} */
const OFF = { state: "off", error: "", since: 0, warnings: [], misses: [], missesLeft: 0 };

/** @type {import("../vendor/preact.js").Signal<Tailing>} */
export const tailing = signal(OFF);

const running = newest();

/** Numbers events as they come: one can come twice, from two indexes. */
let count = 0;

/** Whether somebody reads: an event is open, or the list is scrolled. */
export function isHeld() {
  return isScrolled.value || place.value.event !== "";
}

/** Shows those that wait. */
export function release() {
  if (arrivals.value.waiting.length > 0) arrivals.value = released(arrivals.value);
}

/** Follows what comes while the view is shown. */
export function start() {
  let last = "";
  effect(() => {
    const { view, query } = place.value;
    const isReady = view === "tail" && status.value !== undefined && !isLocked.value;
    const key = isReady ? JSON.stringify(query) : "";
    if (key === last) return;
    last = key;
    untracked(() => {
      const signal = running.next();
      batch(() => {
        arrivals.value = NONE;
        tailing.value = isReady ? { ...OFF, state: "asking", since: Date.now() } : OFF;
      });
      if (isReady) void follow(query, signal);
    });
  });
  effect(() => {
    // As soon as nobody reads any more.
    if (!isHeld()) untracked(release);
  });
}

/** @param {Partial<Tailing>} change */
function set(change) {
  tailing.value = { ...tailing.value, ...change };
}

/**
 * @param {string} query
 * @param {AbortSignal} signal
 */
async function follow(query, signal) {
  let cursor = "";
  let pause = PAUSE_MS;
  /** When it broke off, where it is not known whether something is missing. */
  let broken = 0;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    signal.addEventListener("abort", end);
    try {
      await read(query, cursor, attempt, signal, {
        begun: (warnings) => {
          if (signal.aborted) return;
          if (broken > 0 && cursor === "") missed(broken);
          broken = 0;
          pause = PAUSE_MS;
          set({ state: "on", error: "", warnings });
        },
        at: (id) => (cursor = id),
      });
      throw new Refusal("away", "the stream has ended");
    } catch (error) {
      attempt.abort();
      signal.removeEventListener("abort", end);
      if (signal.aborted) return;
      broken ||= Date.now();
      const kind = error instanceof Refusal ? error.kind : error instanceof RangeError ? "too-large" : "away";
      const message = error instanceof Error ? error.message : String(error);
      if (kind === "gone") cursor = "";
      else if (["unauthorized", "bad-query", "unknown-field", "bad-request", "too-large"].includes(kind)) {
        told(error);
        set({ state: "refused", error: message });
        return;
      }
      set({ state: "broken", error: message });
      await new Promise((done) => setTimeout(done, kind === "gone" ? 0 : pause));
      pause = Math.min(pause * 2, PAUSE_MAX_MS);
    }
  }
}

/** @param {number} from */
function missed(from) {
  const { misses, missesLeft } = tailing.value;
  const all = [...misses, /** @type {[number, number]} */ ([from, Date.now()])];
  set({ misses: all.slice(-MISSES_MAX), missesLeft: missesLeft + Math.max(0, all.length - MISSES_MAX) });
}

/**
 * Reads one stream to its end.
 * @param {string} query
 * @param {string} cursor
 * @param {AbortController} attempt
 * @param {AbortSignal} signal of all tries
 * @param {{begun: (warnings: string[]) => void, at: (cursor: string) => void}} hear
 */
async function read(query, cursor, attempt, signal, hear) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => attempt.abort(new Error("nothing was heard of the daemon for long")), SILENT_MS);
  };
  const take = taking(signal);
  try {
    heard();
    const said = new URLSearchParams({ q: query });
    if (cursor !== "") said.set("cursor", cursor);
    const { body, warnings } = await askStream(`/v1/tail?${said}`, attempt.signal);
    hear.begun(warnings);
    const stream = new Stream();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      for (const { kind, data, id } of stream.push(value)) {
        if (kind === "error") throw refusalOf(data ?? "");
        if (data !== null) take({ hit: { ...parse(data), number: (count += 1) }, length: data.length });
        if (id !== "") hear.at(id);
      }
    }
  } finally {
    clearTimeout(silence);
  }
}

/**
 * Puts events into the list, some at a time.
 * @param {AbortSignal} signal
 */
function taking(signal) {
  /** @type {import("./arrivals.js").Arrival[]} */
  let news = [];
  const draw = () => {
    const came = news;
    news = [];
    if (!signal.aborted) arrivals.value = arrived(arrivals.value, came, isHeld());
  };
  return (/** @type {import("./arrivals.js").Arrival} */ arrival) => {
    news.push(arrival);
    if (news.length === 1) setTimeout(draw, DRAW_MS);
  };
}

/** @param {string} text */
function refusalOf(text) {
  try {
    const { kind, message } = JSON.parse(text).error;
    return new Refusal(kind, message);
  } catch {
    return new Refusal("internal", "the stream broke off");
  }
}
