// The rows that a query's stages make: as a chart, and as a table with bars beside its numbers. A click on a
// value or a number goes to its events.

import { html } from "../vendor/preact.js";
import { chartOf, isNumbers, leadsTo } from "../core/chart.js";
import { labels } from "../core/json.js";
import { answer, askedRange } from "../core/searches.js";
import { place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { asTsv } from "../core/tsv.js";
import { Chart } from "./chart.js";
import { Copy, Pivot, Text } from "./parts.js";

export function Table() {
  const { table, query } = answer.value;
  if (!table) return null;
  const { columns, rows } = table;
  const chart = chartOf(query, table);
  const asked = askedRange(place.value.range);
  const numbers = columns.map((_, index) => isNumbers(rows, index));
  const mosts = columns.map((_, index) => (numbers[index] ? Math.max(0, ...rows.map((row) => Number(row[index] ?? 0))) : 0));
  const names = columns.map((_, index) => labels(rows.map((row) => row[index])));
  return html`<div class="answer">
    <p class="hint">${counted(table.rows_total, "row")}${table.rows_total > rows.length && ` of which ${thousands(rows.length)} are shown`}${!table.exact && ", of which some numbers are estimates"}
      <${Copy} kind="" text=${() => asTsv(columns, rows)} label="Copy the table with tabs between its columns. A text that a spreadsheet would take for a formula gets a ' in front">Copy table<//></p>
    <${Chart} chart=${chart} table=${table} />
    <table class="rows">
      <thead><tr>${columns.map((name, index) => html`<th scope="col" key=${index} class=${numbers[index] ? "number" : ""}><${Text} text=${name} max=${80} /></th>`)}</tr></thead>
      <tbody>${rows.map((row, at) => html`<tr key=${at}>${row.map((value, index) => html`<td key=${index} class=${numbers[index] ? "number" : ""}>
        <${Cell} value=${value} label=${names[index]} isNumber=${numbers[index]} to=${toOf(chart, row, index, asked)} />
        ${mosts[index] > 0 && mosts[index] < Infinity && html`<i class="bar" style=${{ width: `${Math.max(0, (100 * Number(value ?? 0)) / mosts[index])}%` }}></i>`}
      </td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

/** @typedef {Partial<import("../core/url.js").Place>} To */

/**
 * @param {{value: any, label: (value: any) => string, isNumber: boolean, to: To | undefined}} props
 */
function Cell({ value, label, isNumber, to }) {
  if (Array.isArray(value)) return html`<ul class="list">${value.map((item) => html`<li><${Text} text=${labels(value)(item)} max=${500} /></li>`)}</ul>`;
  const inner = value === null ? html`<em class="hint">none</em>`
    : isNumber ? thousands(value)
    : html`<${Text} text=${shown(label(value), place.value.zone)} max=${1_000} />`;
  return to ? html`<${Pivot} to=${to}>${inner}<//>` : inner;
}

/**
 * Where a cell leads: a key's to the events with its value, a number's to those of its row, a time's to those
 * of its bar. Other cells, such as a function's, lead nowhere.
 * @param {import("../core/chart.js").Chart} chart
 * @param {any[]} row
 * @param {number} index
 * @param {string | undefined} asked
 * @returns {To | undefined}
 */
function toOf(chart, row, index, asked) {
  const { zone } = place.value;
  const { role, field } = chart.roles[index];
  if (role === "time") return leadsTo(chart, row, zone, asked, []);
  if (role === "number") return row[index] === null || (chart.keys.length === 0 && chart.time < 0) ? undefined : leadsTo(chart, row, zone, asked);
  return role === "key" && field !== undefined ? leadsTo({ ...chart, time: -1 }, row, zone, asked, [index]) : undefined;
}
