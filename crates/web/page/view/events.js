// The list of events, in the daemon's order, with the columns of the command line's table.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { answer, more } from "../core/searches.js";
import { arrivals } from "../core/tail.js";
import { Digits, written } from "../core/json.js";
import { unquoted } from "../core/query.js";
import { go, place, shift } from "../core/state.js";
import { shown } from "../core/time.js";
import { Text, title } from "./parts.js";

/** @type {[string, string][]} names as queries take them, and widths */
const COLUMNS = [
  ["time", "168px"],
  ["actor", "13%"],
  ["credential", "9%"],
  ["action", "auto"],
  ["target", "auto"],
  ["ip", "11%"],
  ["region", "8%"],
  ["outcome", "15%"],
  ["id", "82px"],
];

/**
 * The class of a column; others' names are anybody's.
 * @param {string} name
 */
const kind = (name) => (COLUMNS.some(([own]) => own === name) ? `of-${name}` : "of-other");

/** Targets of an event that a cell shows. */
const TARGETS_MAX = 3;

/** Characters of a value that a cell shows. */
const CELL_MAX = 300;

/**
 * Where an event's record is, which tells it from others that share its id.
 * @param {{meta: any}} hit
 */
export function placeOf({ meta }) {
  return `${meta.offset} ${meta.file}`;
}

/**
 * Whether an event is the one that is open.
 * @param {{meta: any}} hit
 */
function isOpened(hit) {
  const { event, source } = place.value;
  return hit.meta.id === event && (source === "" || placeOf(hit) === source);
}

/**
 * What was done, as IAM names it.
 * @param {any} event
 */
export function actionOf(event) {
  const field = (/** @type {string} */ name) => plain(event?.[name]) ?? plain(event?.insightDetails?.[name]);
  const [source, name] = [field("eventSource"), field("eventName")];
  if (source === undefined) return name ?? "";
  return `${source.replace(/\.amazonaws\.com$/, "")}:${name ?? "?"}`;
}

/** @param {unknown} value */
function plain(value) {
  if (value === null || value === undefined || value === "") return undefined;
  return written(value);
}

/**
 * The values at a path of a record, through lists.
 * @param {any} value
 * @param {string[]} path
 * @returns {string[]}
 */
function at(value, path) {
  if (Array.isArray(value)) return value.flatMap((item) => at(item, path));
  if (path.length === 0) return [plain(value)].filter((text) => text !== undefined);
  if (value === null || typeof value !== "object" || value instanceof Digits) return [];
  // A key can hold dots itself.
  return path.flatMap((_, length) => {
    const key = path.slice(0, length + 1).join(".");
    return Object.hasOwn(value, key) ? at(value[key], path.slice(length + 1)) : [];
  });
}

/**
 * @param {any} hit
 * @param {string} column
 * @param {string} zone
 * @returns {string}
 */
function cell({ event, meta }, column, zone) {
  switch (column) {
    case "time": return shown(meta.time, zone);
    case "actor": return meta.actor;
    case "credential": return meta.credential;
    case "action": return actionOf(event);
    case "target": {
      const targets = meta.target ?? [];
      const rest = targets.length - TARGETS_MAX;
      return targets.slice(0, TARGETS_MAX).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
    }
    case "ip": return plain(event?.sourceIPAddress) ?? "";
    case "region": return plain(event?.awsRegion) ?? "";
    case "outcome": return [meta.outcome, meta.error].filter(Boolean).join(" ");
    case "id": return /^[0-9a-f]{8}-/.test(meta.id) ? meta.id.slice(0, 8) : meta.id;
    case "account": return meta.account ?? "";
    case "client": return meta.client ?? "";
    case "error": return meta.error ?? "";
    case "integrity": return meta.integrity ?? "";
    case "flags": return (meta.flags ?? []).join(", ");
    default: return at(event, (unquoted(column) ?? column).split(".")).join(", ");
  }
}

/** The events that are listed: those that were found, or those that come. */
export function listed() {
  return place.value.view === "tail" ? arrivals.value.shown.map(({ hit }) => hit) : answer.value.hits;
}

export function Events() {
  const { cursor, isBusy, total } = answer.value;
  const { columns, zone, order, view } = place.value;
  const hits = listed();
  const isTail = view === "tail";
  const all = [...COLUMNS, .../** @type {[string, string][]} */ (columns.map((name) => [name, "14%"]))];
  const chosen = hits.findIndex(isOpened);
  return html`<div class="events">
    <table>
      <colgroup>${all.map(([name, width]) => html`<col key=${name} class=${kind(name)} style=${{ width }} />`)}</colgroup>
      <thead><tr>${all.map(([name]) => html`<th scope="col" key=${name} class=${kind(name)}>${name === "time" && !isTail
        ? html`<button class="plain" onClick=${() => go({ order: order === "newest" ? "oldest" : "newest", event: "" })} title=${`${order} first`}>time (${zone}) ${order === "newest" ? "↓" : "↑"}</button>`
        : html`<${Text} text=${name === "time" ? `time (${zone})` : name} max=${60} />`}
        ${columns.includes(name) && html`<button class="mini" aria-label=${`Remove the column ${title(name)}`} onClick=${() => shift({ columns: columns.filter((other) => other !== name) })}>×</button>`}
      </th>`)}</tr></thead>
      <tbody>
        ${hits.map((hit, index) => html`<${Row} key=${hit.number ?? placeOf(hit)} hit=${hit} all=${all} zone=${zone} isChosen=${index === chosen} />`)}
      </tbody>
    </table>
    ${isTail ? null : cursor ? html`<${More} isBusy=${isBusy} key=${cursor} />` : hits.length > 0 && html`<p class="hint end">${total && total.value > hits.length ? "" : "That is all."}</p>`}
  </div>`;
}

/** @param {{hit: any, all: [string, string][], zone: string, isChosen: boolean}} props */
function Row({ hit, all, zone, isChosen }) {
  const row = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (isChosen) row.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [isChosen]);
  const { outcome, credential, flags } = hit.meta;
  const kinds = [isChosen && "chosen", outcome === "denied" && "denied", outcome === "failure" && "failure", credential === "root" && "root", flags?.length && "flagged"];
  return html`<tr ref=${row} class=${kinds.filter(Boolean).join(" ")} aria-current=${isChosen ? "true" : undefined} data-id=${hit.meta.id}
    onClick=${() => open(hit)}>
    ${all.map(([name]) => {
      const text = cell(hit, name, zone);
      return html`<td key=${name} class=${kind(name)} title=${title(text)}>${name === "id"
        ? html`<button class="plain" aria-label=${`Open event ${title(hit.meta.id)}`} onClick=${(/** @type {Event} */ event) => {
            event.stopPropagation();
            open(hit);
          }}><${Text} text=${text} max=${80} /></button>`
        : html`<${Text} text=${text} max=${CELL_MAX} />`}</td>`;
    })}
  </tr>`;
}

/** @param {any} hit */
function open(hit) {
  // Text was selected, not a row.
  if ((getSelection()?.toString() ?? "") !== "") return;
  const opened = { event: hit.meta.id, source: placeOf(hit) };
  if (place.value.event === "") go(opened);
  else shift(opened);
}

/**
 * Chooses the next event, or the one before.
 * @param {number} step
 */
export function step(step) {
  const hits = listed();
  const cursor = place.value.view === "events" && answer.value.cursor;
  if (hits.length === 0) return;
  const found = hits.findIndex(isOpened);
  const to = Math.min(Math.max(found + step, 0), hits.length - 1);
  if (to >= hits.length - 3 && cursor) void more();
  open(hits[to]);
}

/** Asks for the next page when its button comes into view. @param {{isBusy: boolean}} props */
function More({ isBusy }) {
  const button = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting) void more();
    }, { rootMargin: "600px" });
    if (button.current) watcher.observe(button.current);
    return () => watcher.disconnect();
  }, []);
  return html`<button class="load" ref=${button} disabled=${isBusy} onClick=${() => void more()}>${isBusy ? "Loading…" : "Load more"}</button>`;
}
