// A map of what the archive has: a row for each account and region, a cell for each day or hour. A gap has
// a colour, a sign and a text.

import { html, useEffect } from "../vendor/preact.js";
import { DAYS, ROWS_MAX, dayOf, hoursOf, isShort, kindOfCell, mapOf, signOf, timeOf, windowOf, wordsOf } from "../core/archive.js";
import { covered } from "../core/inventory.js";
import { extent, go, place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { Pivot, Text, title } from "./parts.js";

const DAY = 86400e3;

/** Gaps that are listed above the map, which has all of them. */
const GAPS_MAX = 12;

/** @type {[string, string][]} */
const LEGEND = [
  ["gap", "a gap: no event, and there should be some"],
  ["part", "a gap in a part of it"],
  ["none", "no event; nothing says that there should be one"],
  ["shade-0", "few events"],
  ["shade-3", "many"],
];

/**
 * The place with something else of the archive.
 * @param {Partial<import("../core/archive.js").Inventory>} change
 */
export function archive(change) {
  return { view: /** @type {"archive"} */ ("archive"), inventory: { ...place.value.inventory, ...change } };
}

/** An account's or a region's name; it comes from records. @param {{name: string}} props */
export function Name({ name }) {
  return name === "" ? html`<span class="hint">(none)</span>` : html`<${Text} text=${name} max=${60} />`;
}

export function Heatmap() {
  const now = covered.value;
  const { inventory } = place.value;
  return html`<section class=${`covered ${now?.isBusy ? "busy" : ""}`} aria-label="What the archive has">
    <h2>What the archive has, ${inventory.day ? html`by hour of ${inventory.day}` : "by day"} (UTC)</h2>
    <${Steps} />
    ${!now && html`<p class="hint">${windowOf(inventory, extent()) ? "Asking the daemon…" : "The index has no event."}</p>`}
    ${now?.error && html`<p class="error" role="alert">What the archive covers is not known: <${Text} text=${now.error} max=${400} /></p>`}
    ${now?.found && html`<${Found} found=${now.found} span=${now.span} isByHour=${now.isByHour} />`}
  </section>`;
}

/** Which time and account the map shows, and the ways to others. */
function Steps() {
  const { inventory } = place.value;
  const span = windowOf(inventory, extent());
  if (!span) return null;
  const { first, last } = extent();
  const length = inventory.day ? DAY : DAYS * DAY;
  const to = (/** @type {number} */ end) => (inventory.day ? archive({ day: dayOf(end - DAY) }) : archive({ until: dayOf(end - DAY) }));
  const hasEarlier = span[0] > Date.parse(first ?? "");
  const hasLater = span[1] <= Date.parse(last ?? "");
  return html`<p class="steps">
    ${inventory.day && html`<${Pivot} to=${archive({ day: "" })}>All days<//>`}
    ${hasEarlier && html`<${Pivot} to=${to(span[1] - length)}>← earlier<//>`}
    ${hasLater && html`<${Pivot} to=${to(Math.min(span[1] + length, Date.parse(dayOf(Date.parse(last))) + DAY))}>later →<//>`}
    ${inventory.account !== null && html`<span>Only account <${Name} name=${inventory.account} /> <${Pivot} to=${archive({ account: null })}>all accounts<//></span>`}
    <span class="hint">A click on a day's name shows its hours, on a cell its files; arrow keys go from cell to cell.</span>
  </p>`;
}

/** @param {{found: any, span: [number, number], isByHour: boolean}} props */
function Found({ found, span, isByHour }) {
  const map = mapOf(found, span, isByHour);
  const rows = map.rows.slice(0, ROWS_MAX);
  const reached = reachedOf(rows, map.columns, isByHour);
  // The newest is at the right, and is looked for first.
  useEffect(() => document.querySelector(".map")?.scrollTo({ left: 1e6 }), [span[1], isByHour]);
  const legend = map.isCut ? [...LEGEND, ["unknown", "not known: the daemon does not tell all"]] : LEGEND;
  return html`
    <ul class="legend cells">${legend.map(([kind, means]) => html`<li><i class=${`cell ${kind}`}>${signOf(kind)}</i>${means}</li>`)}
      <li class="hint">most in one: ${counted(map.most, "event")}</li></ul>
    ${isShort(found) && html`<p class="warning">The daemon lists ${thousands(found.groups.length)} of ${thousands(found.total)} days or hours of accounts and regions: choose an account or a day.</p>`}
    ${[...(found.warnings ?? []), ...(found.notes ?? [])].map((/** @type {string} */ text) => html`<p class="warning"><${Text} text=${text} /></p>`)}
    <${Gaps} gaps=${found.gaps} span=${span} />
    <div class="map" tabindex="0" role="region" aria-label="Map of days or hours"><table onKeyDown=${step}>
      <thead><tr><th scope="col">account</th><th scope="col">region</th>
        ${map.columns.map((at) => html`<th scope="col"><${Column} at=${at} isByHour=${isByHour} /></th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<${Row} row=${row} map=${map} isByHour=${isByHour} reached=${reached} />`)}</tbody>
    </table></div>
    ${map.rows.length === 0 && html`<p class="hint">No account and region has an event in this time.</p>`}
    ${map.rows.length > rows.length && html`<p class="warning">The first ${thousands(rows.length)} of ${thousands(map.rows.length)} accounts and regions are shown: choose an account.</p>`}`;
}

/** @param {{gaps: any[], span: [number, number]}} props */
function Gaps({ gaps, span }) {
  const hours = hoursOf(gaps, span);
  const hour = (/** @type {string} */ time) => `${time.slice(0, 13).replace("T", " ")}h`;
  return html`
    ${gaps.length === 0 ? html`<p>No gap is known in this time.</p>` : html`<p><strong>${counted(gaps.length, "gap")}, ${counted(hours, "hour")}</strong> in this time:</p>
      <ul class="list gaps">${gaps.slice(0, GAPS_MAX).map((gap) => html`<li><${Name} name=${gap.account} /> <${Name} name=${gap.region} /> from ${hour(gap.start)} to ${hour(gap.end)}${gap.is_end && ", and no event since"}</li>`)}
      ${gaps.length > GAPS_MAX && html`<li>and ${counted(gaps.length - GAPS_MAX, "other")}</li>`}</ul>`}
    <p class="hint">A gap is an hour without an event, of an account and region that usually have some at that hour. What was always quiet, or never recorded, looks the same as what had no event. Which data events were recorded, and what was done to trails: traildex coverage. Files that wait, or could not be read, may have more.</p>`;
}

/** @param {{at: number, isByHour: boolean}} props */
function Column({ at, isByHour }) {
  const time = timeOf(at, isByHour);
  if (isByHour) return html`<span title=${`${time.replace("T", " ")}h UTC`}>${time.slice(11)}</span>`;
  return html`<${Pivot} to=${archive({ day: time, cell: null })}><span class="sr">Hours of ${time.slice(0, 8)}</span>${time.slice(8)}${time.endsWith("-01") && html`<span aria-hidden="true" class="month">${time.slice(5, 7)}/</span>`}<//>`;
}

/**
 * The one cell to which Tab leads: the chosen one, or the first.
 * @param {import("../core/archive.js").Row[]} rows
 * @param {number[]} columns
 * @param {boolean} isByHour
 * @returns {import("../core/archive.js").Cell | null}
 */
function reachedOf(rows, columns, isByHour) {
  const chosen = place.value.inventory.cell;
  const isThere = chosen && rows.some((row) => row.account === chosen.account && row.region === chosen.region) && columns.some((at) => timeOf(at, isByHour) === chosen.time);
  if (isThere) return chosen;
  return rows.length > 0 ? { account: rows[0].account, region: rows[0].region, time: timeOf(columns[0], isByHour) } : null;
}

/**
 * Goes from cell to cell by the arrow keys.
 * @param {KeyboardEvent} event
 */
function step(event) {
  const [down, right] = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] })[event.key] ?? [0, 0];
  const cell = /** @type {HTMLElement} */ (event.target).closest("td");
  if (!cell || (down === 0 && right === 0)) return;
  event.preventDefault();
  const row = /** @type {HTMLTableRowElement} */ (cell.parentElement);
  const rows = /** @type {HTMLTableSectionElement} */ (row.parentElement).rows;
  const to = rows[row.sectionRowIndex + down]?.cells[cell.cellIndex + right]?.querySelector("button");
  to?.focus();
}

/** @param {{row: import("../core/archive.js").Row, map: ReturnType<typeof mapOf>, isByHour: boolean, reached: import("../core/archive.js").Cell | null}} props */
function Row({ row, map, isByHour, reached }) {
  const { account, region } = row;
  const chosen = place.value.inventory.cell;
  return html`<tr>
    <th scope="row" title=${title(account)}>${place.value.inventory.account === null ? html`<${Pivot} to=${archive({ account, cell: null })}><${Name} name=${account} /><//>` : html`<${Name} name=${account} />`}</th>
    <th scope="row" title=${title(region)}><${Name} name=${region} /></th>
    ${row.groups.map((group, index) => {
      const time = timeOf(map.columns[index], isByHour);
      const kind = kindOfCell(group, map);
      const words = `${time.replace("T", " ")}${isByHour ? "h" : ""}: ${wordsOf(group, kind)}`;
      const is = (/** @type {import("../core/archive.js").Cell | null} */ cell) => cell?.account === account && cell.region === region && cell.time === time;
      const isChosen = is(chosen);
      return html`<td><button class=${`cell ${kind} ${isChosen ? "is-chosen" : ""}`} title=${words} aria-pressed=${isChosen} tabindex=${is(reached) ? 0 : -1}
        aria-label=${`${title(account)} ${title(region)} ${words}`} onClick=${() => go(archive({ cell: { account, region, time } }))}>${signOf(kind)}</button></td>`;
    })}
  </tr>`;
}
