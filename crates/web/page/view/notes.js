// What the daemon says about an answer: why it may lack events, how the query was taken, and why
// nothing was found. Always shown.

import { html } from "../vendor/preact.js";
import { replaced } from "../core/query.js";
import { answer } from "../core/searches.js";
import { away, extent, go, place, status } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { Kept } from "./compare.js";
import { Text } from "./parts.js";

/** @type {Record<string, string>} */
const DIFFERENCES = { case: "another case", field: "another field", spelling: "spelled nearly so", part: "as a part; it was compared with the whole", longer: "contains it",
  either: "either of them; no event has both", missing: "the field is missing", other: "a value that the field has" };

export function Notes() {
  const isAnswer = place.value.view === "events";
  const { coverage, warnings, explanation } = isAnswer ? answer.value : { coverage: [], warnings: [], explanation: null };
  const { rebuild, warnings: ofDaemon = [], lag, files } = status.value ?? {};
  return html`<div class="notes" aria-live="polite">
    ${place.value.event === "" && html`<${Kept} source="" />`}
    ${away.value && html`<p class="error" role="alert">The daemon does not answer: <${Text} text=${away.value} max=${400} />. It is asked again from time to time.</p>`}
    ${ofDaemon.map((/** @type {string} */ text) => html`<p class="warning"><${Text} text=${text} /></p>`)}
    ${rebuild?.state === "running" && html`<p class="warning">The index is being made anew; answers are those of the one before.</p>`}
    ${files?.pending > 0 && lag && html`<p class="note">${counted(files.pending, "file")} of the archive ${files.pending === 1 ? "waits" : "wait"} to be indexed.</p>`}
    ${warnings.map((text) => html`<p class="warning" key=${text}><${Text} text=${text} /></p>`)}
    ${coverage.map((text) => html`<p class="coverage" key=${text}><strong>Coverage</strong> <${Text} text=${text} /></p>`)}
    ${explanation && html`<${Explanation} of=${explanation} />`}
  </div>`;
}

/** @param {{of: any}} props */
function Explanation({ of }) {
  const { zone, range, query } = place.value;
  const { first, last } = extent();
  const conditions = of.conditions ?? [];
  return html`<section class="explanation" aria-label="Why nothing was found">
    <h2>Nothing was found</h2>
    ${of.events === 0
      ? html`<p>No event at all is in this time${first && ` – the archive has events from ${shown(first, zone)} to ${shown(last, zone)}`}.
          ${range !== "all" && html`<button onClick=${() => go({ range: "all" })}>Search all time</button>`}</p>`
      : html`<p>${counted(of.events, "event")} are in this time. ${range !== "all" && html`<button onClick=${() => go({ range: "all" })}>Search all time</button>`}</p>`}
    ${conditions.length > 0 && html`<table class="rows"><thead><tr><th scope="col">condition</th><th scope="col" class="number">finds by itself</th><th scope="col">effect</th></tr></thead>
      <tbody>${conditions.map((/** @type {any} */ { condition, events }) => html`<tr>
        <td><code><${Text} text=${condition} max=${300} /></code></td><td class="number">${thousands(events)}</td>
        <td>${condition === of.emptied_by && html`<strong>leaves nothing</strong>`}</td></tr>`)}</tbody></table>`}
    ${of.near?.length > 0 && html`<p>There is what is nearly that:</p><ul class="near">${of.near.map((/** @type {any} */ near) => html`<li>
      <button onClick=${() => go({ query: replaced(query, near.instead_of, near.condition) ?? near.condition })}><code><${Text} text=${near.condition} max=${200} /></code></button>
      <span class="hint">${counted(near.events, "event")}, ${DIFFERENCES[near.difference] ?? near.difference}</span></li>`)}</ul>`}
    ${of.operators_as_words?.length > 0 && html`<p>Searched for as words: ${of.operators_as_words.map((/** @type {string} */ word) => html`<code><${Text} text=${word} /></code> `)}</p>`}
    ${(of.left_out ?? []).map((/** @type {string} */ text) => html`<p class="hint"><${Text} text=${text} /></p>`)}
  </section>`;
}
