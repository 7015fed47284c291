// What is indexed: the daemon's health, what the archive has, and what became of its files.

import { html, useEffect, useState } from "../vendor/preact.js";
import { STATES, spanOf } from "../core/archive.js";
import { files, hasMore, moreFiles } from "../core/inventory.js";
import { condition, narrowed } from "../core/query.js";
import { go, place, status } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { moment, shown } from "../core/time.js";
import { Heatmap, Name, archive } from "./heatmap.js";
import { Notes } from "./notes.js";
import { Pivot, Text, title } from "./parts.js";

/** Records of a file that could not be read, of those that the daemon names. */
const REJECTS_MAX = 3;

export function Archive() {
  return html`<main class="inventory">
    <${Notes} />
    <${Health} />
    <${Heatmap} />
    <${Files} />
  </main>`;
}

/** @param {number} bytes */
function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 1e3 && at < units.length - 1; at += 1) bytes /= 1e3;
  return `${at === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

/** @param {number | null | undefined} seconds */
function ago(seconds) {
  if (seconds === null || seconds === undefined) return "never";
  if (seconds < 120) return `${Math.round(seconds)} seconds ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} minutes ago`;
  return `${thousands(Math.round(seconds / 3600))} hours ago`;
}

/** How the daemon is, as of its last answer. */
function Health() {
  const now = status.value;
  if (now === undefined) return html`<p role="status">Asking the daemon…</p>`;
  const { zone } = place.value;
  const { events, index, lag } = now;
  const pending = now.files.pending;
  const rows = [
    ["Ingest", now.is_ingesting ? "runs" : now.is_paused ? "waits for a fault to pass, and goes on by itself" : "has stopped"],
    now.fault && ["Fault", now.fault],
    ["Behind", pending === 0 ? "no file waits" : `${counted(pending, "file")} of ${size(lag.pending_bytes)}; the oldest was seen ${ago(lag.oldest_pending_s)}`],
    ["Last scan of the archive ended", ago(lag.last_scan_s)],
    ["Last commit", ago(lag.last_commit_s)],
    ["Events", `${thousands(events.indexed)}${events.first ? `, from ${shown(events.first, zone)} to ${shown(events.last, zone)} (${zone})` : ""}`],
    ["Records", [
      `${thousands(events.rejected)} could not be read`, `${thousands(events.repaired)} were repaired`, `${thousands(events.duplicates)} were there already`,
      events.conflicting > 0 && `${thousands(events.conflicting)} share their id with another`, events.lost > 0 && `${thousands(events.lost)} were lost to damage, and are read again`,
      events.expired > 0 && `${thousands(events.expired)} are older than is kept`,
    ].filter(Boolean).join(", ")],
    ["Index", `${size(index.bytes)} in ${counted(index.segments, "segment")}, ${size(index.free_bytes)} free${index.damaged > 0 ? `, ${counted(index.damaged, "segment")} damaged` : ""}`],
    ["Watched", now.watch.join(", ")],
    ["Program", `traildex ${now.version}, since ${ago(now.uptime_s)}`],
  ].filter(Boolean);
  return html`<section aria-label="Health"><h2>Health</h2>
    <table class="facts"><tbody>${rows.map(([name, text]) => html`<tr><th scope="row">${name}</th><td><${Text} text=${text} max=${600} /></td></tr>`)}</tbody></table>
    <p class="hint">Asked again every 15 seconds.</p></section>`;
}

function Files() {
  const { state, path, cell } = place.value.inventory;
  const { files: rows, total, at, isBusy, error } = files.value;
  return html`<section class=${`files ${isBusy ? "busy" : ""}`} aria-label="Files"><h2>Files</h2>
    <${States} />
    <${PathFilter} key=${path} />
    ${cell && html`<${OfCell} cell=${cell} />`}
    ${error && html`<p class="error" role="alert"><${Text} text=${error} max=${400} /></p>`}
    <p role="status">${counted(total, "file")}${cell && " with events of then"}${state && `, ${state}`}${!state && !cell && ", but for those that are ignored"}${path && html`, whose path has <${Text} text=${path} max=${80} />`}.
      ${at > 0 && html` <span class="hint">As of ${shown(moment(Math.floor(at / 1e3) * 1e3), place.value.zone)}.</span>`} <button onClick=${() => go({})}>Ask again</button></p>
    ${rows.length > 0 && html`<table class="rows"><thead><tr>${["path", "state", "size", "records", "first event", "account, region", "reason"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
      <tbody>${rows.map((file) => html`<${File} file=${file} />`)}</tbody></table>`}
    ${hasMore() ? html`<button class="load" disabled=${isBusy} onClick=${moreFiles}>More of ${thousands(total)}</button>`
      : total > rows.length && !error && html`<p class="hint end">${thousands(rows.length)} are listed: choose a state, or a part of the path. All: traildex files --format json.</p>`}
  </section>`;
}

/** What became of files, with their number; a click lists them. */
function States() {
  const counts = status.value?.files ?? {};
  const { state } = place.value.inventory;
  return html`<table class="facts states"><tbody>${STATES.filter(([name]) => counts[name] > 0 || name === state).map(([name, means]) => html`<tr class=${name === state ? "chosen" : ""}>
    <th scope="row"><${Pivot} to=${archive({ state: name === state ? "" : name })}>${name}<//></th><td class="number">${thousands(counts[name] ?? 0)}</td>
    <td class="hint">${means}${name === state && " – listed below; click again for all"}</td></tr>`)}</tbody></table>`;
}

function PathFilter() {
  const [text, setText] = useState(place.value.inventory.path);
  /** @param {Event} event */
  const apply = (event) => {
    event.preventDefault();
    go(archive({ path: text }));
  };
  return html`<form class="steps" onSubmit=${apply}>
    <label>Path has <input value=${text} size="40" onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
    <button>List</button>${place.value.inventory.path && html`<${Pivot} to=${archive({ path: "" })}>any path<//>`}</form>`;
}

/** @param {{cell: import("../core/archive.js").Cell}} props */
function OfCell({ cell }) {
  const { account, region, time } = cell;
  const [start, end] = spanOf(time);
  const isSeveral = account === "several" || region === "several";
  const query = [["account", account], ["region", region]].reduce((query, [field, value]) => narrowed(query, condition(field, value === "" ? null : value)), "");
  // A file that could not be read has no time but that of its folder.
  const folder = region !== "" && !isSeveral ? `${region}/${time.slice(0, 10).replaceAll("-", "/")}` : "";
  // What was clicked is above.
  useEffect(() => document.querySelector(".of-cell")?.scrollIntoView({ block: "nearest" }), [time, account, region]);
  return html`<p class="note of-cell"><strong>${time.replace("T", " ")}${time.length > 10 ? "h" : ""} UTC, account <${Name} name=${account} />, region <${Name} name=${region} /></strong>
    ${isSeveral ? html`<span>Files with events of several; their events count for their own accounts and regions.</span>` : html`<${Pivot} to=${{ query, range: `${moment(start)}..${moment(end)}`, event: "" }}>Search its events<//>`}
    ${time.length === 10 && html`<${Pivot} to=${archive({ day: time })}>Its hours<//>`}
    ${folder && html`<${Pivot} to=${archive({ cell: null, state: "rejected", path: folder })}>Rejected files in <${Text} text=${folder} max=${60} /><//>`}
    <${Pivot} to=${archive({ cell: null })}>All files<//>
    <span class="hint">Listed are files of this account and region, and those of several or of none that is known. One without events, as a rejected one, counts by its last change.</span></p>`;
}

/** @param {{file: any}} props */
function File({ file }) {
  const rejects = file.rejects ?? [];
  const reasons = [file.reason, ...rejects.slice(0, REJECTS_MAX).map((/** @type {any} */ { offset, reason }) => `byte ${thousands(offset)}: ${reason}`)].filter(Boolean);
  return html`<tr><td title=${title(file.path)}><${Text} text=${file.path} max=${400} /></td><td>${file.state}${file.integrity && html`<br /><span class="hint">${file.integrity}</span>`}</td>
    <td class="number">${size(file.size)}</td><td class="number">${thousands(file.records)}</td><td>${file.first ? shown(file.first, place.value.zone) : ""}</td>
    <td><${Text} text=${[file.account, file.region].filter(Boolean).join(", ")} max=${120} /></td>
    <td>${reasons.map((text) => html`<div><${Text} text=${text} max=${300} /></div>`)}${file.rejected > REJECTS_MAX && html`<div class="hint">${counted(file.rejected, "record")} could not be read</div>`}${file.flags?.length > 0 && html`<div class="hint">${file.flags.join(", ")}</div>`}</td></tr>`;
}
