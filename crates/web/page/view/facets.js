// The most frequent values of fields, with exact counts: one click keeps only a value, one leaves it out.

import { html, signal, useEffect, useState } from "../vendor/preact.js";
import { labels, written } from "../core/json.js";
import { answer, facets, wanted } from "../core/searches.js";
import { status } from "../core/state.js";
import { counted, share, thousands } from "../core/text.js";
import { Actions, Text, filterFor, title } from "./parts.js";

const LIMIT = 6;
const LIMIT_MORE = 60;
const SEARCH_PAUSE_MS = 250;
const STORED = "traildex-facets";

/** @type {[string, [string, string][]][]} titles, fields as queries have them, and their names here */
const GROUPS = [
  ["Who", [["actor", "actor"], ["credential", "credential"], ["key", "access key"], ["role", "role"]]],
  ["What", [["service", "service"], ["action", "action"], ["readOnly", "read only"]]],
  ["Outcome", [["outcome", "outcome"], ["error", "error"]]],
  ["Where", [["sourceIPAddress", "address"], ["region", "region"], ["account", "account"], ["client", "client"]]],
  ["On what", [["target", "target"]]],
];

/**
 * The fields that the daemon looks up, where it has files for them.
 * @returns {[string, string][]}
 */
function lookedUp() {
  const lookups = /** @type {{field: string}[]} */ (status.value?.lookups ?? []);
  return lookups.map(({ field }) => [field, field]);
}

const OPEN_FIRST = ["actor", "credential", "action", "outcome", "error", "sourceIPAddress", "target"];

/** Fields that a person has added, and those that are open; kept in this browser. */
const kept = signal(load());

/** @returns {{open: string[], added: string[]}} */
function load() {
  try {
    const { open, added } = JSON.parse(localStorage.getItem(STORED) ?? "");
    const texts = (/** @type {unknown} */ list) => Array.isArray(list) && list.every((item) => typeof item === "string");
    if (texts(open) && texts(added)) return { open, added };
  } catch {
    // Nothing is kept yet.
  }
  return { open: OPEN_FIRST, added: [] };
}

/** @param {{open: string[], added: string[]}} value */
function keep(value) {
  kept.value = value;
  localStorage.setItem(STORED, JSON.stringify(value));
  want(value.open);
}

/** @param {string[]} open */
function want(open) {
  wanted.value = Object.fromEntries(open.map((field) => [field, wanted.value[field] ?? { limit: LIMIT, search: "" }]));
}

/**
 * Adds a field to the facets, and opens it.
 * @param {string} field as a query has it
 */
export function addFacet(field) {
  const { open, added } = kept.value;
  const groups = [...GROUPS.map(([, fields]) => fields), lookedUp()];
  const isKnown = added.includes(field) || groups.some((fields) => fields.some(([name]) => name === field));
  keep({ added: isKnown ? added : [...added, field], open: open.includes(field) ? open : [...open, field] });
}

export function Facets() {
  useEffect(() => want(kept.value.open), []);
  const { added } = kept.value;
  const found = lookedUp();
  return html`<nav class="facets" aria-label="Values of fields">
    <${Basis} />
    ${added.length > 0 && html`<${Group} title="Added" fields=${added.map((field) => [field, field])} />`}
    ${found.length > 0 && html`<${Group} title="Looked up" fields=${found} />`}
    ${GROUPS.map(([title, fields]) => html`<${Group} key=${title} title=${title} fields=${fields} />`)}
  </nav>`;
}

/** Of which events the values are counted, where they are others than those that the answer is about. */
function Basis() {
  const { total, isCut, isBusy } = answer.value;
  const facet = Object.values(facets.value).find((one) => !one.isBusy && one.error === "");
  if (!facet || isBusy || !total?.exact) return null;
  if (!isCut && facet.total === total.value) return null;
  return html`<p class="hint basis">Counted before the stages, of ${counted(facet.total, "event")}.</p>`;
}

/** @param {{title: string, fields: [string, string][]}} props */
function Group({ title, fields }) {
  return html`<section>
    <h2>${title}</h2>
    ${fields.map(([field, name]) => html`<${Facet} key=${field} field=${field} name=${name} isAdded=${title === "Added"} />`)}
  </section>`;
}

/** @param {{field: string, name: string, isAdded: boolean}} props */
function Facet({ field, name, isAdded }) {
  const { open, added } = kept.value;
  const isOpen = open.includes(field);
  const facet = facets.value[field];
  const toggle = () => keep({ added, open: isOpen ? open.filter((other) => other !== field) : [...open, field] });
  return html`<div class=${`facet ${facet?.isBusy ? "busy" : ""}`}>
    <h3>
      <button class="toggle" aria-expanded=${isOpen} onClick=${toggle}>
        <span class="arrow" aria-hidden="true">${isOpen ? "▾" : "▸"}</span><${Text} text=${name} max=${80} />
        ${isOpen && facet && !facet.error && html`<span class="distinct" title="different values">${thousands(facet.distinct)}</span>`}
      </button>
      ${isAdded && html`<button class="mini" aria-label=${`Remove ${name}`} onClick=${() => keep({ added: added.filter((other) => other !== field), open: open.filter((other) => other !== field) })}>×</button>`}
    </h3>
    ${isOpen && facet && html`<${Values} field=${field} facet=${facet} />`}
  </div>`;
}

/** @param {{field: string, facet: import("../core/searches.js").Facet}} props */
function Values({ field, facet }) {
  const how = wanted.value[field] ?? { limit: LIMIT, search: "" };
  const { total } = facet;
  const label = labels(facet.rows.map(([value]) => value));
  const set = (/** @type {Partial<typeof how>} */ change) => (wanted.value = { ...wanted.value, [field]: { ...how, ...change } });
  const most = Math.max(1, ...facet.rows.map(([, count]) => count));
  if (facet.error) return html`<p class="hint"><${Text} text=${facet.error} max=${200} /></p>`;
  return html`
    ${how.limit > LIMIT && html`<${Inside} search=${how.search} set=${set} />`}
    <ul>
      ${facet.rows.map(([value, count]) => html`<${Row} key=${`${typeof value} ${written(value)}`} field=${field} value=${value} name=${label(value)} count=${count} total=${total} most=${most} />`)}
    </ul>
    ${facet.rows.length === 0 && !facet.isBusy && html`<p class="hint">none</p>`}
    ${facet.distinct > facet.rows.length && how.limit === LIMIT && html`<button class="more" onClick=${() => set({ limit: LIMIT_MORE })}>more</button>`}
    ${how.limit > LIMIT && html`<button class="more" onClick=${() => set({ limit: LIMIT, search: "" })}>fewer</button>`}`;
}

/** @param {{search: string, set: (change: {search: string}) => void}} props */
function Inside({ search, set }) {
  const [text, setText] = useState(search);
  useEffect(() => {
    if (text === search) return undefined;
    const timer = setTimeout(() => set({ search: text }), SEARCH_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<input class="inside" placeholder="search inside" aria-label="Search inside" value=${text}
    onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />`;
}

/** @param {{field: string, value: any, name: string, count: number, total: number, most: number}} props */
function Row({ field, value, name, count, total, most }) {
  const text = value === null ? null : written(value);
  return html`<li>
    <button class="value" onClick=${() => filterFor(field, text)} title=${`${text === null ? "none" : title(text)}
${thousands(count)} events, ${share(count, total)} of what is counted`}>
      ${text === null ? html`<em>none</em>` : text === "" ? html`<em>empty</em>` : html`<${Text} text=${name} max=${160} />`}
    </button>
    <span class="count">${thousands(count)}</span><span class="share">${share(count, total)}</span>
    <${Actions} field=${field} value=${text} canCopy=${false} />
    <i class="bar" style=${{ width: `${(100 * count) / most}%` }}></i>
  </li>`;
}
