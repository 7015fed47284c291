// One event: the sentence first, then what leads on from it, its record as a tree, its bytes and where
// they came from.

import { html, useEffect, useState } from "../vendor/preact.js";
import { ask } from "../core/api.js";
import { fetchEvent, meantOf, placeOf } from "../core/event.js";
import { member, textOf } from "../core/json.js";
import { condition } from "../core/query.js";
import { lastingLink } from "../core/searches.js";
import { place, round, shift, status, told } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { moment, shown } from "../core/time.js";
import { Compare, Kept, isComparing, keepOther } from "./compare.js";
import { Actions, Copy, Pivot, Text } from "./parts.js";
import { Tree } from "./tree.js";

/** How far the events around one are shown, to each side. */
const AROUND_MS = 10 * 60e3;

/** Characters of a record's own text that are shown at once. */
const RAW_MAX = 200_000;

/** @typedef {import("../core/event.js").Found} Found */

export function Detail() {
  const { event, source } = place.value;
  const isKnown = status.value !== undefined;
  const [found, setFound] = useState(/** @type {{of: string, events: Found[], error: string}} */ ({ of: "", events: [], error: "" }));
  useEffect(() => {
    // Before the first answer it is not known which token is let in.
    if (event === "" || !isKnown) return undefined;
    const abort = new AbortController();
    void fetchEvent(event, abort.signal).then(
      (events) => {
        if (abort.signal.aborted) return;
        setFound({ of: event, events, error: "" });
        // A link to the only event of its id is short.
        if (events.length === 1 && placeOf(events[0]) === place.value.source) shift({ source: "" });
      },
      (error) => {
        if (!abort.signal.aborted) setFound({ of: event, events: [], error: told(error) });
      },
    );
    return () => abort.abort();
  }, [event, isKnown, round.value]);
  if (event === "") return null;
  // What was found for another event is not shown below this one's id.
  const { events, error } = found.of === event ? found : { events: [], error: "" };
  const shownEvent = meantOf(events, source);
  const isGone = source !== "" && shownEvent !== undefined && placeOf(shownEvent) !== source;
  // Where it shares its id.
  const own = shownEvent && events.length > 1 ? placeOf(shownEvent) : "";
  return html`<aside class="detail" aria-label="Event" tabindex="-1">
    <header>
      <strong>Event</strong> <code><${Text} text=${event} max=${80} /></code>
      <${Copy} kind="mini" text=${event} label="Copy the id" />
      <span class="grow"></span>
      ${place.value.other === "" && shownEvent && html`<button title="Keep it, and open another one to compare the two (c)" onClick=${() => keepOther(own)}>Compare</button>`}
      <${Copy} kind="" text=${lastingLink} label="Copy a link to this event">Copy link<//>
      <button aria-label="Close the event" onClick=${close}>×</button>
    </header>
    ${error && html`<p class="error" role="alert"><${Text} text=${error} /></p>`}
    ${!error && !shownEvent && html`<p class="hint">Loading…</p>`}
    ${isGone && html`<p class="note">The record that this link names is not in the index; this one has the same id.</p>`}
    ${events.length > 1 && html`<p class="note">${counted(events.length, "event")} share this id:
      ${events.map((one, index) => html`<button class=${one === shownEvent ? "chosen" : ""} aria-pressed=${one === shownEvent} onClick=${() => shift({ source: placeOf(one) })}>${index + 1}</button>`)}</p>`}
    <${Kept} source=${own} />
    ${shownEvent && (isComparing(own) ? html`<${Compare} found=${shownEvent} source=${own} />` : html`<${Event} key=${`${event} ${placeOf(shownEvent)}`} found=${shownEvent} isOnly=${events.length === 1} />`)}
  </aside>`;
}

export function close() {
  if (place.value.event !== "") shift({ event: "" });
}

/** @param {{found: Found, isOnly: boolean}} props */
function Event({ found, isOnly }) {
  const { meta, record, document } = found;
  const { zone } = place.value;
  const raw = meta.raw ?? textOf(record, document);
  const text = (/** @type {string[]} */ ...path) => {
    /** @type {import("../core/json.js").Node | undefined} */
    let node = record;
    for (const key of path) node = member(node, key);
    return node && node.kind !== "object" && node.kind !== "array" && node.text !== "null" ? node.text : "";
  };
  return html`
    <p class="sentence"><${Text} text=${meta.sentence ?? ""} max=${3_000} /></p>
    ${zone !== "UTC" && html`<p class="hint">${shown(meta.time, zone)} in ${zone}.</p>`}
    <${LookedUp} meta=${meta} />
    <${Leads} meta=${meta} text=${text} source=${isOnly ? "" : placeOf(found)} />
    <h3>Record</h3>
    <${Tree} record=${record} document=${document} />
    <details><summary>Bytes as delivered</summary>
      <div class="tools"><${Copy} kind="" text=${raw} label="Copy the record">Copy<//></div>
      ${meta.raw && html`<p class="note">The record was repaired; this is what was delivered.</p>`}
      <pre tabindex="0"><${Text} text=${raw} max=${RAW_MAX} /></pre>
    </details>
    <h3>Where it comes from</h3>
    <${Provenance} meta=${meta} />`;
}

/**
 * The events around this one, of whoever or whatever it shares something with.
 * @param {{meta: any, text: (...path: string[]) => string, source: string}} props
 */
function Leads({ meta, text, source }) {
  const at = Date.parse(meta.time);
  const around = { range: `${moment(at - AROUND_MS)}..${moment(at + AROUND_MS)}`, event: meta.id, source };
  /** @type {[string, string, string][]} */
  const shared = [
    ["actor", "actor", meta.actor],
    ["access key", "userIdentity.accessKeyId", text("userIdentity", "accessKeyId")],
    ["address", "sourceIPAddress", text("sourceIPAddress")],
    ["account", "account", meta.account],
  ];
  const known = shared.filter(([, , value]) => value);
  return html`<div class="leads">
    <table><tbody>${known.map(([name, field, value]) => html`<tr>
      <th scope="row">${name}</th>
      <td><code><${Text} text=${value} max=${120} /></code> <${Actions} field=${field} value=${value} /></td>
      <td><${Pivot} to=${{ ...around, query: condition(field, value) }}>10 minutes around<//></td>
      <td><${Pivot} to=${{ query: condition(field, value), range: "all", order: "oldest", event: "" }}>everything<//></td>
    </tr>`)}</tbody></table>
    <${Pivot} to=${{ ...around, query: "" }}>All events 10 minutes around this one<//>
  </div>`;
}

/**
 * What the daemon looked up by the event's values.
 * @param {{meta: any}} props
 */
function LookedUp({ meta }) {
  const lookups = /** @type {[string, string[]][]} */ (Object.entries(meta.lookups ?? {}));
  const indicators = /** @type {{list: string, path: string, value: string, label?: string}[]} */ (meta.indicators ?? []);
  if (lookups.length === 0) return null;
  return html`<table class="facts"><tbody>
    ${lookups.map(([field, values]) => html`<tr><th scope="row">${field}</th><td>
      ${values.map((value) => html`<code><${Text} text=${value} max=${200} /></code> <${Actions} field=${field} value=${value} /> `)}
      ${field === "ioc" && indicators.map(({ list, path, value, label }) => html`<br /><span class="hint"><${Text} text=${`${list}: ${value}${label ? ` (${label})` : ""}, ${path}`} max=${600} /></span>`)}
    </td></tr>`)}
  </tbody></table>`;
}

/** @param {{meta: any}} props */
function Provenance({ meta }) {
  const [file, setFile] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    const said = new URLSearchParams({ path: meta.file, limit: "20" });
    void ask(`/v1/files?${said}`, { signal: abort.signal }).then(
      ({ files }) => {
        if (!abort.signal.aborted) setFile(files.find((/** @type {any} */ entry) => entry.path === meta.file && entry.state === "indexed") ?? null);
      },
      (failure) => {
        if (!abort.signal.aborted) setError(told(failure));
      },
    );
    return () => abort.abort();
  }, [meta.file]);
  const where = meta.row === undefined ? `byte ${thousands(meta.offset)}` : `row ${thousands(meta.row)}${meta.column ? `, column ${meta.column}` : ""}`;
  const rows = /** @type {[string, string][]} */ ([
    ["file", meta.file],
    ["place", where],
    ["SHA-256", error ? `not known: ${error}` : (file?.sha256 ?? "")],
    ["read", file?.read_at ?? ""],
    ["integrity", meta.integrity ?? "not judged: the archive has no digests, or none were checked"],
    ["flags", (meta.flags ?? []).join(", ") || "none"],
  ]).filter(([, value]) => value !== "");
  return html`<table class="facts"><tbody>${rows.map(([name, value]) => html`<tr>
    <th scope="row">${name}</th>
    <td><${Text} text=${value} max=${1_200} /> ${(name === "file" || (name === "SHA-256" && !error)) && html`<${Copy} text=${value} label=${`Copy the ${name}`} />`}</td>
  </tr>`)}</tbody></table>`;
}
