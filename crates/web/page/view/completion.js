// Offers fields and values for the word at the cursor, as the daemon knows them.

import { html, useRef, useState } from "../vendor/preact.js";
import { ask } from "../core/api.js";
import { isField, quote } from "../core/query.js";
import { askedRange } from "../core/searches.js";
import { place } from "../core/state.js";
import { newest } from "../core/newest.js";
import { OFFERED } from "../core/stages.js";
import { written } from "../core/json.js";
import { thousands } from "../core/text.js";
import { Text } from "./parts.js";

const PAUSE_MS = 120;
const OFFERED_MAX = 12;

/** @typedef {{text: string, insert: string, note: string}} Offer */

/**
 * What is being typed at the end of a text: a stage, a field, or a value of a field.
 * @param {string} before
 * @returns {{kind: "stage" | "field" | "value", word: string, field: string} | null}
 */
export function typedIn(before) {
  const stage = /\|\s*([a-z]*)$/i.exec(before);
  if (stage) return { kind: "stage", word: stage[1], field: "" };
  const value = /(?:^|[\s(|!+-])([A-Za-z_@][\w.@#$/-]*|"(?:[^"\\]|\\.)*")\s*(?::|=)\s*([^\s"'():=,[\]|]*)$/.exec(before);
  if (value) return { kind: "value", field: value[1], word: value[2] };
  const field = /(?:^|[\s(|!+,-])([A-Za-z_@][\w.@#$/-]*)$/.exec(before);
  return field ? { kind: "field", word: field[1], field: "" } : null;
}

/**
 * @param {{kind: string, word: string, field: string}} typed
 * @param {AbortSignal} signal
 * @returns {Promise<Offer[]>}
 */
async function offersFor({ kind, word, field }, signal) {
  if (kind === "stage") {
    const found = OFFERED.filter((name) => name.startsWith(word.toLowerCase()) && name !== word);
    return found.map((name) => ({ text: name, insert: `${name} `, note: "stage" }));
  }
  const said = new URLSearchParams({ prefix: word, limit: String(OFFERED_MAX) });
  if (kind === "field") {
    const { fields } = await ask(`/v1/fields?${said}`, { signal });
    return fields.map((/** @type {any} */ { path, short, query, events }) => {
      const name = nameOf({ path, short, query });
      return { text: name === path ? path : `${name}  ${path}`, insert: `${name}:`, note: thousands(events) };
    });
  }
  said.set("field", field);
  const [start, end] = askedRange(place.value.range)?.split("..") ?? [];
  if (start) said.set("start", start);
  if (end) said.set("end", end);
  const { values } = await ask(`/v1/values?${said}`, { signal });
  return values.map((/** @type {any} */ { value, events }) => {
    const text = written(value);
    const insert = /^[A-Za-z0-9][A-Za-z0-9_.@-]*$/.test(text) ? `${text} ` : `${quote(text)} `;
    return { text, insert, note: thousands(events) };
  });
}

/**
 * A field's name as a query takes it: a path can have any characters, and be the name of another field.
 * @param {{path: string, short?: string, query?: string}} field
 */
export function nameOf({ path, short, query }) {
  if (short !== undefined && isField(short)) return short;
  return query ?? (isField(path) ? path : quote(path));
}

/**
 * @param {{current: HTMLTextAreaElement | null}} input
 * @param {string} text
 * @param {(text: string) => void} setText
 */
export function useCompletion(input, text, setText) {
  const [offers, setOffers] = useState(/** @type {Offer[]} */ ([]));
  const [at, setAt] = useState(-1);
  const waiting = useRef(/** @type {{timer?: ReturnType<typeof setTimeout>, asked: ReturnType<typeof newest>}} */ ({ asked: newest() }));
  const close = () => {
    clearTimeout(waiting.current.timer);
    waiting.current.asked.end();
    setOffers([]);
    setAt(-1);
  };
  const typed = () => {
    close();
    waiting.current.timer = setTimeout(async () => {
      const area = input.current;
      if (!area || area !== document.activeElement) return;
      const found = typedIn(area.value.slice(0, area.selectionStart));
      if (!found || (found.kind === "field" && found.word.length < 2)) return;
      const signal = waiting.current.asked.next();
      try {
        const some = await offersFor(found, signal);
        if (!signal.aborted) setOffers(some.filter((offer) => offer.insert.trim() !== found.word));
      } catch {
        // What cannot be offered is typed.
      }
    }, PAUSE_MS);
  };
  /** @param {Offer} offer */
  const take = (offer) => {
    const area = input.current;
    if (!area) return;
    const end = area.selectionStart;
    const found = typedIn(area.value.slice(0, end));
    if (!found) return;
    const start = end - found.word.length;
    // A value in quotes is exactly this one behind `=`, and words behind a colon.
    let head = text.slice(0, start);
    if (found.kind === "value" && offer.insert.startsWith('"')) head = head.replace(/\s*:\s*$/, " = ");
    setText(head + offer.insert + text.slice(end));
    close();
    const caret = head.length + offer.insert.length;
    requestAnimationFrame(() => {
      area.setSelectionRange(caret, caret);
      if (offer.insert.endsWith(":")) typed();
    });
  };
  /**
   * Whether the key was for the offers.
   * @param {KeyboardEvent} event
   */
  const key = (event) => {
    if (offers.length === 0) return false;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) setAt((at + step + offers.length + (at < 0 && step < 0 ? 1 : 0)) % offers.length);
    else if ((event.key === "Tab" || event.key === "Enter") && (at >= 0 || event.key === "Tab")) take(offers[Math.max(at, 0)]);
    else if (event.key === "Escape") close();
    else return false;
    event.preventDefault();
    return true;
  };
  const isOpen = offers.length > 0;
  return { offers, at, isOpen, active: isOpen && at >= 0 ? `offer-${at}` : undefined, close, typed, key, take };
}

/** @param {{completion: ReturnType<typeof useCompletion>}} props */
export function Completion({ completion }) {
  const { offers, at, take } = completion;
  return html`<ul id="completion" class="completion" role="listbox" aria-label="Completions" hidden=${offers.length === 0}>
    ${offers.map((offer, index) => html`<li
      id=${`offer-${index}`} role="option" aria-selected=${index === at}
      onMouseDown=${(/** @type {Event} */ event) => {
        event.preventDefault();
        take(offer);
      }}
    ><${Text} text=${offer.text} max=${120} /><span class="note">${offer.note}</span></li>`)}
  </ul>`;
}
