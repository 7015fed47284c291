// Asks the daemon, with the token of the page's address where there is one.

import { parse } from "./json.js";

const KEY = "traildex-token";

/** Tries of a request that the daemon is too busy for, and the pause between two. */
const BUSY_TRIES = 5;
const BUSY_PAUSE_MS = 700;

/** Why a request has no answer. */
export class Refusal extends Error {
  /**
   * @param {string} kind as the API names it; `away` where nobody answers
   * @param {string} message
   * @param {{offset?: number, suggestion?: string}} [more]
   */
  constructor(kind, message, more = {}) {
    super(message);
    this.kind = kind;
    this.offset = more.offset;
    this.suggestion = more.suggestion;
  }

  /** Whether the daemon is not there, or not yet. */
  get isAway() {
    return this.kind === "away" || this.kind === "unavailable";
  }
}

/** @param {string} token */
export function keepToken(token) {
  localStorage.setItem(KEY, token);
}

/** The token that was kept last; null where none was. */
export function keptToken() {
  return localStorage.getItem(KEY);
}

/** The storage event that tells of another tab's new token. */
export const TOKEN_KEY = KEY;

/**
 * @typedef {object} Asked
 * @property {string} [method]
 * @property {unknown} [body] sent as JSON
 * @property {AbortSignal} [signal]
 * @property {string} [token] in place of the one that is kept
 */

/**
 * The text of an answer; throws a {@link Refusal}, or the signal's reason.
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<string>}
 */
export async function askText(path, asked = {}) {
  for (let tries = 1; ; tries += 1) {
    const token = asked.token ?? keptToken();
    const { isOk, text } = await send(path, asked, token);
    if (isOk) return text;
    const refusal = refusalOf(text);
    // It was asked with the token before, and another has been let in meanwhile.
    if (refusal.kind === "unauthorized" && token !== (asked.token ?? keptToken())) continue;
    if (refusal.kind !== "busy" || tries === BUSY_TRIES) throw refusal;
    await new Promise((done) => setTimeout(done, BUSY_PAUSE_MS * tries));
    asked.signal?.throwIfAborted();
  }
}

/**
 * An answer as a value. Numbers that JavaScript would round are there by their digits.
 * @param {string} path
 * @param {Asked} [asked]
 * @returns {Promise<any>}
 */
export async function ask(path, asked = {}) {
  return parse(await askText(path, asked));
}

/**
 * @param {string} path
 * @param {Asked} asked
 * @param {string | null} token
 */
async function send(path, { method, body, signal }, token) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const answer = await fetch(path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
    return { isOk: answer.ok, text: await answer.text() };
  } catch (error) {
    signal?.throwIfAborted();
    throw new Refusal("away", `nobody answers: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * An answer that is a stream, once it has begun, and how the query was taken.
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {Promise<{body: ReadableStream<Uint8Array<ArrayBuffer>>, warnings: string[]}>}
 */
export async function askStream(path, signal) {
  const token = keptToken();
  let answer;
  try {
    answer = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {}, signal, cache: "no-store" });
  } catch (error) {
    signal.throwIfAborted();
    throw new Refusal("away", `nobody answers: ${error instanceof Error ? error.message : error}`);
  }
  if (!answer.ok || !answer.body) throw refusalOf(await answer.text());
  return { body: answer.body, warnings: JSON.parse(answer.headers.get("traildex-warnings") ?? "[]") };
}

/** @param {string} text */
function refusalOf(text) {
  try {
    const { kind, message, offset, suggestion } = JSON.parse(text).error;
    return new Refusal(kind, message, { offset, suggestion });
  } catch {
    return new Refusal("internal", "the answer is not one of traildex");
  }
}
