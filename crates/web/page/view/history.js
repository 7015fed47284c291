// The queries that were asked before, as a list to choose from.

import { html, useState } from "../vendor/preact.js";
import { KEPT_MAX, forget, queries } from "../core/history.js";
import { go } from "../core/state.js";
import { counted } from "../core/text.js";
import { Text, title } from "./parts.js";

/** Queries that are shown at once. */
const SHOWN_MAX = 50;

export function History() {
  const [isOpen, setIsOpen] = useState(false);
  return html`<details class="menu" name="menu" onToggle=${(/** @type {any} */ event) => setIsOpen(event.currentTarget.open)}>
    <summary>History</summary>
    <div class="box history">${isOpen && html`<${List} />`}</div>
  </details>`;
}

function List() {
  const [inside, setInside] = useState("");
  const [isAll, setIsAll] = useState(false);
  const [isAsking, setIsAsking] = useState(false);
  const all = queries.value;
  const found = all.filter((query) => query.toLowerCase().includes(inside.toLowerCase()));
  const shown = isAll ? found : found.slice(0, SHOWN_MAX);
  return html`
    <div class="line">
      <input aria-label="Search the history" placeholder="search the history" value=${inside} onInput=${(/** @type {any} */ event) => setInside(event.currentTarget.value)} />
      <span class="grow"></span>
      ${all.length > 0 && (isAsking
        ? html`<button onClick=${() => forget()} onBlur=${() => setIsAsking(false)}>Forget all ${counted(all.length, "query", "queries")}</button>`
        : html`<button onClick=${() => setIsAsking(true)}>Forget all</button>`)}
    </div>
    ${found.length === 0 && html`<p class="hint">${all.length === 0 ? "No query was asked yet." : "None has this text."}</p>`}
    <ol>${shown.map((query) => html`<li key=${query}>
      <button class="plain" title=${title(query)} onClick=${(/** @type {Event} */ event) => {
        /** @type {HTMLElement} */ (event.currentTarget).closest("details")?.removeAttribute("open");
        go({ query, event: "" });
      }}><code><${Text} text=${query} max=${300} /></code></button>
      <button class="mini" title="Forget" aria-label=${`Forget ${title(query)}`} onClick=${() => forget(query)}>×</button>
    </li>`)}</ol>
    ${found.length > shown.length && html`<button class="more" onClick=${() => setIsAll(true)}>all ${found.length}</button>`}
    <p class="hint">The last ${KEPT_MAX} queries that were answered, in this browser only. In the query bar, ↑ and ↓ lead through them.</p>`;
}
