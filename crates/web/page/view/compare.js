// Two events beside each other: the paths at which they differ, with the values as filters.

import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { compared, told as toldOf } from "../core/compare.js";
import { fetchEvent, meantOf } from "../core/event.js";
import { fieldOf } from "../core/query.js";
import { place, shift, told } from "../core/state.js";
import { counted } from "../core/text.js";
import { Actions, Pivot, Text } from "./parts.js";

/** Paths that are shown at once, values of one, and characters of a value. */
const PATHS_MAX = 300;
const VALUES_MAX = 20;
const VALUE_MAX = 400;

/** @typedef {import("../core/event.js").Found} Found */

/** Whether an event is kept and the one that is open is another. @param {string} source of the one that is open */
export function isComparing(source) {
  const { event, other, otherSource } = place.value;
  return other !== "" && event !== "" && (event !== other || (otherSource !== "" && source !== "" && source !== otherSource));
}

/** Keeps the event that is open to be compared, or ends that. @param {string} [source] of its record, where it shares its id */
export function keepOther(source = place.value.source) {
  const { event, other } = place.value;
  shift(other !== "" ? { other: "", otherSource: "" } : { other: event, otherSource: source });
}

/** What says that an event is kept, until another one is open. @param {{source: string}} props of the one that is open */
export function Kept({ source }) {
  const { other, event } = place.value;
  if (other === "" || isComparing(source)) return null;
  return html`<p class="note kept" role="status">${event === other ? "This event" : html`Event <code><${Text} text=${other} max=${60} /></code>`} is kept to be compared: open another one.
    <button onClick=${() => shift({ other: "", otherSource: "" })}>End</button></p>`;
}

/** @param {{found: Found, source: string}} props `source` is empty where the event is the only one of its id */
export function Compare({ found, source }) {
  const { other, otherSource } = place.value;
  const [kept, setKept] = useState(/** @type {{of: string, events: Found[], error: string}} */ ({ of: "", events: [], error: "" }));
  useEffect(() => {
    const abort = new AbortController();
    void fetchEvent(other, abort.signal).then(
      (events) => !abort.signal.aborted && setKept({ of: other, events, error: "" }),
      (error) => !abort.signal.aborted && setKept({ of: other, events: [], error: told(error) }),
    );
    return () => abort.abort();
  }, [other]);
  const first = kept.of === other ? meantOf(kept.events, otherSource) : undefined;
  return html`<section class="compare" aria-label="Comparison">
    <p class="tools"><strong>Two events compared</strong> <button onClick=${() => shift({ other: "", otherSource: "" })}>End</button>
      <button onClick=${() => shift({ event: other, source: otherSource, other: found.meta.id, otherSource: source })}>Swap</button></p>
    ${kept.of === other && kept.error && html`<p class="error" role="alert"><${Text} text=${kept.error} /></p>`}
    ${first ? html`<${Both} first=${first} second=${found} />` : !kept.error && html`<p class="hint">Loading…</p>`}
  </section>`;
}

/** @param {{first: Found, second: Found}} props */
function Both({ first, second }) {
  const [max, setMax] = useState(PATHS_MAX);
  const { differences, equal } = useMemo(() => compared(first.record, second.record), [first, second]);
  const [isOpen, setIsOpen] = useState(false);
  return html`<table class="rows">
      <thead><tr><th scope="col">path</th>${[first, second].map(({ meta }) => html`<th scope="col"><${Pivot} to=${{ event: meta.id, source: "", other: "", otherSource: "" }}><${Text} text=${meta.id} max=${40} /><//></th>`)}</tr></thead>
      <tbody>
        <tr><th scope="row">sentence</th>${[first, second].map(({ meta }) => html`<td class="said"><${Text} text=${meta.sentence ?? ""} max=${800} /></td>`)}</tr>
        ${differences.slice(0, max).map(({ path, left, right, both }) => html`<tr key=${path}>
          <th scope="row"><${Text} text=${path} max=${200} />${both > 0 && html`<div class="hint">${counted(both, "value")} in both</div>`}</th>
          ${[left, right].map((leaves) => html`<td><${Values} path=${path} leaves=${leaves} hasBoth=${both > 0} /></td>`)}
        </tr>`)}
      </tbody>
    </table>
    ${differences.length > max && html`<button onClick=${() => setMax(max * 5)}>${counted(differences.length - max, "more path")}</button>`}
    ${differences.length === 0 && html`<p>The records differ in nothing.</p>`}
    <details onToggle=${(/** @type {any} */ event) => setIsOpen(event.currentTarget.open)}><summary>${counted(equal.length, "path")} ${equal.length === 1 ? "is" : "are"} equal</summary>
      ${isOpen && html`<table class="rows"><tbody>${equal.slice(0, max).map(({ path, leaves }) => html`<tr key=${path}>
        <th scope="row"><${Text} text=${path} max=${200} /></th><td><${Values} path=${path} leaves=${leaves} hasBoth=${false} /></td></tr>`)}</tbody></table>`}
    </details>
    <p class="hint">The order in a list is no difference. Lists are compared by the values at each path.</p>`;
}

/** @param {{path: string, leaves: import("../core/compare.js").Leaf[], hasBoth: boolean}} props */
function Values({ path, leaves, hasBoth }) {
  if (leaves.length === 0) return html`<em class="hint">${hasBoth ? "no other" : "not there"}</em>`;
  return html`${leaves.slice(0, VALUES_MAX).map((leaf) => html`<div class="one"><${Text} text=${toldOf(leaf)} max=${VALUE_MAX} />
      ${canFilter(leaf) && html`<${Actions} field=${fieldOf(path)} value=${leaf.text} />`}</div>`)}
    ${leaves.length > VALUES_MAX && html`<div class="hint">and ${counted(leaves.length - VALUES_MAX, "other")}</div>`}`;
}

/** Whether a query can ask for a value. @param {import("../core/compare.js").Leaf} leaf */
function canFilter({ kind, text }) {
  return kind === "string" || kind === "number" || (kind === "word" && text !== "null");
}
