// One event: the sentence first, then what leads on from it, its record as a tree, its bytes and where
// they came from.

import { html, useEffect, useState } from "../vendor/preact.js";
import { Refusal, ask, askText } from "../core/api.js";
import { member, read, textOf } from "../core/json.js";
import { condition } from "../core/query.js";
import { lastingLink, place, round, shift, told } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { moment, shown } from "../core/time.js";
import { opened } from "./events.js";
import { Actions, Copy, Pivot, Text } from "./parts.js";
import { Tree } from "./tree.js";

/** How far the events around one are shown, to each side. */
const AROUND_MS = 10 * 60e3;

/** Characters of a record's own text that are shown at once. */
const RAW_MAX = 200_000;

/**
 * @typedef {object} Found
 * @property {any} meta
 * @property {import("../core/json.js").Node} record
 * @property {string} document of which the record is a part
 */

export function Detail() {
  const { event } = place.value;
  const [found, setFound] = useState(/** @type {{events: Found[], at: number, error: string}} */ ({ events: [], at: 0, error: "" }));
  useEffect(() => {
    if (event === "") return undefined;
    const abort = new AbortController();
    void fetchEvent(event, abort.signal).then(
      (events) => {
        const at = events.findIndex(({ meta }) => `${meta.file}\n${meta.offset}` === opened);
        setFound({ events, at: Math.max(at, 0), error: "" });
      },
      (error) => {
        if (!abort.signal.aborted) setFound({ events: [], at: 0, error: told(error) });
      },
    );
    return () => abort.abort();
  }, [event, round.value]);
  if (event === "") return null;
  const { events, at, error } = found;
  const shownEvent = events[at];
  return html`<aside class="detail" aria-label="Event" tabindex="-1">
    <header>
      <strong>Event</strong> <code><${Text} text=${event} max=${80} /></code>
      <${Copy} kind="mini" text=${event} label="Copy the id" />
      <span class="grow"></span>
      <${Copy} kind="" text=${lastingLink} label="Copy a link to this event">Copy link<//>
      <button aria-label="Close the event" onClick=${close}>×</button>
    </header>
    ${error && html`<p class="error" role="alert"><${Text} text=${error} /></p>`}
    ${events.length > 1 && html`<p class="note">${counted(events.length, "event")} share this id:
      ${events.map((_, index) => html`<button class=${index === at ? "chosen" : ""} onClick=${() => setFound({ ...found, at: index })}>${index + 1}</button>`)}</p>`}
    ${shownEvent && html`<${Event} key=${at} found=${shownEvent} />`}
  </aside>`;
}

export function close() {
  if (place.value.event !== "") shift({ event: "" });
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Found[]>}
 */
async function fetchEvent(id, signal) {
  // As text: its numbers and its repeated keys are shown as they are.
  const document = await askText(`/v1/events/${encodeURIComponent(id)}`, { signal });
  const hits = member(read(document), "hits");
  if (hits?.kind !== "array" || hits.items.length === 0) throw new Refusal("not-found", "there is no such event");
  return hits.items.map((hit) => {
    const meta = /** @type {import("../core/json.js").Node} */ (member(hit, "meta"));
    const record = /** @type {import("../core/json.js").Node} */ (member(hit, "event"));
    return { meta: JSON.parse(textOf(meta, document)), record, document };
  });
}

/** @param {{found: Found}} props */
function Event({ found }) {
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
    <${Leads} meta=${meta} text=${text} />
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
 * @param {{meta: any, text: (...path: string[]) => string}} props
 */
function Leads({ meta, text }) {
  const at = Date.parse(meta.time);
  const around = { range: `${moment(at - AROUND_MS)}..${moment(at + AROUND_MS)}`, event: meta.id };
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

/** @param {{meta: any}} props */
function Provenance({ meta }) {
  const [file, setFile] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    const said = new URLSearchParams({ path: meta.file, limit: "20" });
    void ask(`/v1/files?${said}`, { signal: abort.signal }).then(
      ({ files }) => setFile(files.find((/** @type {any} */ entry) => entry.path === meta.file && entry.state === "indexed") ?? null),
      () => setFile(null),
    );
    return () => abort.abort();
  }, [meta.file]);
  const where = meta.row === undefined ? `byte ${thousands(meta.offset)}` : `row ${thousands(meta.row)}${meta.column ? `, column ${meta.column}` : ""}`;
  const rows = /** @type {[string, string][]} */ ([
    ["file", meta.file],
    ["place", where],
    ["SHA-256", file?.sha256 ?? ""],
    ["read", file?.read_at ?? ""],
    ["integrity", meta.integrity ?? "not judged: the archive has no digests, or none were checked"],
    ["flags", (meta.flags ?? []).join(", ") || "none"],
  ]).filter(([, value]) => value !== "");
  return html`<table class="facts"><tbody>${rows.map(([name, value]) => html`<tr>
    <th scope="row">${name}</th>
    <td><${Text} text=${value} max=${1_200} /> ${["file", "SHA-256"].includes(name) && html`<${Copy} text=${value} label=${`Copy the ${name}`} />`}</td>
  </tr>`)}</tbody></table>`;
}
