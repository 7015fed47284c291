// What the list and the pane of alerts share: the way to an alert, its level, and what a person does with it.

import { html, useEffect, useState } from "../vendor/preact.js";
import { change } from "../core/alerting.js";
import { LEVELS } from "../core/alerts.js";
import { go, place, shift } from "../core/state.js";
import { Text } from "./parts.js";

/** What a person can do, by the state that it leads to. */
/** @type {Record<string, string>} */
const DOINGS = { acknowledged: "Acknowledge", closed: "Close", open: "Reopen" };

/**
 * The place with other alerts: the list begins with its first again.
 * @param {Partial<import("../core/alerts.js").Shown>} change
 */
export function alerts(change) {
  return { view: /** @type {"alerts"} */ ("alerts"), alerts: { ...place.value.alerts, offset: 0, ...change } };
}

/**
 * Opens an alert, or closes the one that is open.
 * @param {string} id empty for none
 */
export function openAlert(id) {
  const { offset, id: before } = place.value.alerts;
  const to = alerts({ offset, id });
  if (before === "") go(to);
  else shift(to);
}

export function closeAlert() {
  if (place.value.alerts.id !== "") openAlert("");
}

/** @param {{level: string}} props */
export function Level({ level }) {
  return html`<span class=${`level ${LEVELS.includes(level) ? level : ""}`}><${Text} text=${level} max=${40} /></span>`;
}

/**
 * What a person can do with alerts: change their state, and note why. What is typed goes with a change of the
 * state.
 * @param {{ids: string[], note: string, isOfSeveral: boolean, state?: string}} props `state` and `note` as they are
 */
export function Doings({ ids, note, isOfSeveral, state = "" }) {
  const [text, setText] = useState(note);
  const [before, setBefore] = useState(note);
  const [error, setError] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  useEffect(() => {
    // Somebody else noted something: what is typed here stays.
    if (text === before) setText(note);
    setBefore(note);
  }, [note]);
  const isTyped = text !== before;
  /** @param {{state?: string, note?: string}} what */
  const tell = async (what) => {
    setIsBusy(true);
    const refused = await change(ids, { ...what, ...(isTyped ? { note: text } : {}) });
    setIsBusy(false);
    setError(refused);
    if (refused === "") setBefore(text);
  };
  const others = Object.entries(DOINGS).filter(([one]) => isOfSeveral || one !== state);
  return html`<div class="doings" role="group" aria-label=${isOfSeveral ? "What to do with the chosen" : "What to do"}>
    <label>Note ${isOfSeveral
      ? html`<input value=${text} size="30" onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />`
      : html`<textarea rows="2" value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}></textarea>`}</label>
    <div class="steps">
      ${others.map(([one, name]) => html`<button disabled=${isBusy} onClick=${() => void tell({ state: one })}>${name}</button>`)}
      <button disabled=${isBusy || !isTyped} onClick=${() => void tell({})}>${isOfSeveral ? "Note" : "Keep the note"}</button>
    </div>
    ${error && html`<p class="error" role="alert"><${Text} text=${error} max=${400} /></p>`}
  </div>`;
}
