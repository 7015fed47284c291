// One alert: what the rule says, what its events have in common, the way to them, and what a person does with it.

import { html } from "../vendor/preact.js";
import { opened } from "../core/alerting.js";
import { eventsOf, linkOf, stateOf } from "../core/alerts.js";
import { lastingLink } from "../core/searches.js";
import { place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { Copy, Pivot, Text } from "./parts.js";
import { Doings, Level, alerts, closeAlert } from "./triage.js";

/** Events that are listed by their id. */
const IDS_MAX = 100;

export function Alert() {
  const { id } = place.value.alerts;
  if (id === "") return null;
  // What was found for another one is not shown below this one's id.
  const { alert, error } = opened.value.id === id ? opened.value : { alert: null, error: "" };
  return html`<aside class="detail" aria-label="Alert" tabindex="-1">
    <header>
      <strong>Alert</strong> <code><${Text} text=${id.slice(0, 12)} /></code>
      <${Copy} kind="mini" text=${id} label="Copy the id" />
      <span class="grow"></span>
      <${Copy} kind="" text=${lastingLink} label="Copy a link to this alert">Copy link<//>
      <button aria-label="Close the alert's pane" onClick=${closeAlert}>×</button>
    </header>
    ${error && html`<p class="error" role="alert"><${Text} text=${error} /></p>`}
    ${!error && !alert && html`<p class="hint">Loading…</p>`}
    ${alert && html`<${Found} key=${id} alert=${alert} />`}
  </aside>`;
}

/** @param {{alert: any}} props */
function Found({ alert }) {
  const { rule, group, first, last, events, kind, state, note, by, withdrawn, raised, changed, ids = [] } = alert;
  const { zone } = place.value;
  const to = eventsOf(alert);
  const time = (/** @type {string} */ text) => `${shown(text, zone)} (${zone})`;
  const second = (/** @type {string} */ text) => time(text.replace(/\.\d+Z$/, "Z"));
  const rows = /** @type {[string, string][]} */ ([
    ...Object.entries(group),
    ["first event", time(first)],
    ["last event", time(last)],
    ["events", thousands(events)],
    ["kind", kind],
    ["state", stateOf(alert)],
    ["changed by", by === undefined ? "" : `user ${by}`],
    ["raised", second(raised)],
    ["changed", second(changed)],
  ]).filter(([, value]) => value !== "");
  return html`
    <p class="sentence"><${Level} level=${rule.level} /> <${Text} text=${rule.title} max=${400} /></p>
    ${withdrawn && html`<p class="note">Withdrawn ${second(withdrawn)}: an event that came in late, another version of the rule, or an exception says otherwise.</p>`}
    <p class="steps">${to ? html`<span class="to-events"><${Pivot} to=${to}>Search its ${counted(events, "event")}<//></span>` : html`<span class="hint">There are too many events for one query.</span>`}
      ${!alert.query && to && html`<span class="hint">The first ${thousands(Math.min(ids.length, IDS_MAX))}: there are too many for one query.</span>`}</p>
    <${Doings} ids=${[alert.id]} state=${state} note=${note ?? ""} isOfSeveral=${false} />
    <table class="facts"><tbody>${rows.map(([name, value]) => html`<tr><th scope="row"><${Text} text=${name} max=${80} /></th><td><${Text} text=${value} max=${1_000} /></td></tr>`)}</tbody></table>
    <${Rule} rule=${rule} />
    ${alert.query && html`<h3>Query</h3><pre tabindex="0"><${Text} text=${alert.query} max=${20_000} /></pre>`}
    ${ids.length > 0 && html`<details><summary>${ids.length < Number(events) ? `The first ${thousands(ids.length)} events` : counted(ids.length, "event")} by id</summary>
      <ul class="list">${ids.slice(0, IDS_MAX).map((/** @type {string} */ id) => html`<li>${to ? html`<${Pivot} to=${{ ...to, event: id }}><code><${Text} text=${id} max=${80} /></code><//>` : html`<code><${Text} text=${id} max=${80} /></code>`}</li>`)}</ul></details>`}`;
}

/** What the rule says of itself. @param {{rule: any}} props */
function Rule({ rule }) {
  const { title, id, name, status, description, author, license, references = [], tags = [], falsepositives = [] } = rule;
  const rows = /** @type {[string, string | undefined][]} */ ([["author", author], ["licence", license], ["status", status], ["name", name], ["id", id]]).filter(([, value]) => value);
  return html`<h3>Rule</h3>
    ${description && html`<p class="about">${lines(description).map((line) => html`<${Text} text=${line} max=${1_000} /><br />`)}</p>`}
    <p><${Pivot} to=${alerts({ rule: id ?? name ?? title })}>All alerts of this rule<//></p>
    ${falsepositives.length > 0 && html`<h3>What else it can be</h3><ul>${falsepositives.map((/** @type {string} */ text) => html`<li><${Text} text=${text} max=${1_000} /></li>`)}</ul>`}
    ${references.length > 0 && html`<h3>References</h3><ul class="references">${references.map((/** @type {string} */ text) => html`<li><${Reference} text=${text} /></li>`)}</ul>`}
    ${tags.length > 0 && html`<h3>Tags</h3><p class="tags">${tags.map((/** @type {string} */ tag) => html`<code><${Text} text=${tag} max=${80} /></code> `)}</p>`}
    ${rows.length > 0 && html`<table class="facts"><tbody>${rows.map(([key, value]) => html`<tr><th scope="row">${key}</th><td><${Text} text=${value} max=${400} /></td></tr>`)}</tbody></table>`}`;
}

/** Lines of a description that are shown. */
const LINES_MAX = 60;

/** @param {string} text */
function lines(text) {
  const all = text.trim().split("\n");
  return all.length > LINES_MAX ? [...all.slice(0, LINES_MAX), `… ${counted(all.length - LINES_MAX, "more line")}`] : all;
}

/** A link only where a browser opens nothing but a page. @param {{text: string}} props */
function Reference({ text }) {
  const to = linkOf(text);
  const shownText = html`<${Text} text=${text} max=${500} />`;
  return to ? html`<a href=${to} target="_blank" rel="noopener noreferrer">${shownText}</a>` : shownText;
}
