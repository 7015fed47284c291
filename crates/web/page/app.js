// The page: what is asked, what is found, and what was found out about it.

import { html, render } from "./vendor/preact.js";
import { answer, lastingLink, start as startSearches } from "./core/searches.js";
import { go, isLocked, place, start, status } from "./core/state.js";
import { counted, thousands } from "./core/text.js";
import { start as startAlerts } from "./core/alerting.js";
import { start as startHistory } from "./core/history.js";
import { start as startInventory } from "./core/inventory.js";
import { start as startTail } from "./core/tail.js";
import { START } from "./core/url.js";
import { Alert } from "./view/alert.js";
import { Alerts } from "./view/alerts.js";
import { Archive } from "./view/archive.js";
import { Detail } from "./view/detail.js";
import { Download } from "./view/download.js";
import { Events } from "./view/events.js";
import { Facets } from "./view/facets.js";
import { Help } from "./view/help.js";
import { History } from "./view/history.js";
import { Locked } from "./view/locked.js";
import { Notes } from "./view/notes.js";
import { Copy, Pivot, Undo } from "./view/parts.js";
import { QueryBar, QueryError } from "./view/querybar.js";
import { Saved } from "./view/saved.js";
import { Table } from "./view/table.js";
import { Tail } from "./view/tail.js";
import { Timeline } from "./view/timeline.js";
import { TimeRange, Zone } from "./view/timerange.js";

function Page() {
  if (isLocked.value) return html`<${Locked} />`;
  return html`
    <header class="top">
      <h1><a href="#" onClick=${home}>traildex</a></h1>
      <${Views} />
      <${QueryBar} />
      <${TimeRange} />
      <${Zone} />
      <${History} />
      <${Saved} />
      ${place.value.view === "events" && html`<${Download} />`}
      <${Copy} kind="" text=${lastingLink} label="Copy a link to this view, with its times as they are now">Copy link<//>
      <${Help} />
    </header>
    <${Body} />
    <${Undo} />`;
}

/** The view that is chosen. */
function Body() {
  const { view, event, alerts } = place.value;
  const beside = (/** @type {boolean} */ isOpen) => (isOpen ? "with-detail" : "");
  if (view === "archive") return html`<div class="body whole"><${Archive} /></div>`;
  if (view === "alerts") return html`<div class=${`body whole ${beside(alerts.id !== "")}`}><${Alerts} /><${Alert} /></div>`;
  if (view === "tail") return html`<div class=${`body tail ${beside(event !== "")}`}><${Tail} /><${Detail} /></div>`;
  return html`<div class=${`body ${beside(event !== "")}`}>
    <${Facets} />
    <main>
      <${QueryError} />
      <${Timeline} />
      <${Summary} />
      <${Notes} />
      ${answer.value.table ? html`<${Table} />` : answer.value.hits.length > 0 && html`<${Events} />`}
    </main>
    <${Detail} />
  </div>`;
}

/** @type {[import("./core/url.js").Place["view"], string][]} */
const VIEWS = [["events", "Events"], ["alerts", "Alerts"], ["tail", "Tail"], ["archive", "Archive"]];

/** The views of the page. */
function Views() {
  const { view } = place.value;
  const open = status.value?.rules?.open ?? 0;
  return html`<nav class="views" aria-label="Views">${VIEWS.map(([name, label]) =>
    html`<span class=${name === view ? "chosen" : ""}><${Pivot} to=${{ view: name }}>${label}<//>${name === "alerts" && open > 0 && html` <span class="hint" title="Alerts that are open">${thousands(open)}<span class="sr"> open</span></span>`}</span>`)}</nav>`;
}

/** @param {MouseEvent} event */
function home(event) {
  event.preventDefault();
  go({ query: "", range: "end-1d", event: "", other: "", otherSource: "", chart: "", measure: "", columns: START.columns, widths: START.widths });
}

/** How much was found, and how quickly. */
function Summary() {
  const { total, took, isBusy, error, kept, hits, table } = answer.value;
  if (status.value === undefined) return html`<p class="summary" role="status">Asking the daemon…</p>`;
  if (error || !total) return html`<p class="summary" role="status">${isBusy ? "Searching…" : ""}</p>`;
  return html`<p class=${`summary ${isBusy ? "busy" : ""}`} role="status">
    <strong>${total.exact ? "" : "at least "}${counted(total.value, "event")}</strong>
    ${kept !== null && `, of which ${thousands(kept)} are kept`}
    ${!table && hits.length > 0 && total.value > hits.length && ` – the first ${thousands(hits.length)} are below`}
    <span class="hint"> ${took < 10 ? took.toFixed(1) : Math.round(took)} ms, of ${thousands(status.value.events.indexed)} in the index</span>
  </p>`;
}

start();
startSearches();
startHistory();
startInventory();
startTail();
startAlerts();
render(html`<${Page} />`, /** @type {HTMLElement} */ (document.getElementById("page")));
