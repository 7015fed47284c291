// The rows that a query's stages make: as a table with bars beside its numbers. A click on a value goes
// to its events.

import { html } from "../vendor/preact.js";
import { narrowed, condition, split } from "../core/query.js";
import { answer } from "../core/searches.js";
import { place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { Copy, Pivot, Text } from "./parts.js";

export function Table() {
  const { table, query } = answer.value;
  if (!table) return null;
  const { columns, rows } = table;
  const numbers = columns.map((_, index) => isNumbers(rows, index));
  const mosts = columns.map((_, index) => (numbers[index] ? Math.max(0, ...rows.map((row) => Number(row[index] ?? 0))) : 0));
  return html`<div class="answer">
    <p class="hint">${counted(table.rows_total, "row")}${table.rows_total > rows.length && ` of which ${thousands(rows.length)} are shown`}${!table.exact && ", of which some numbers are estimates"}
      <${Copy} kind="" text=${() => asTsv(columns, rows)} label="Copy the table with tabs between its columns">Copy table<//></p>
    <table class="rows">
      <thead><tr>${columns.map((name, index) => html`<th scope="col" key=${index} class=${numbers[index] ? "number" : ""}><${Text} text=${name} max=${80} /></th>`)}</tr></thead>
      <tbody>${rows.map((row, at) => html`<tr key=${at}>${row.map((value, index) => html`<td key=${index} class=${numbers[index] ? "number" : ""}>
        <${Cell} value=${value} column=${columns[index]} isNumber=${numbers[index]} query=${query} />
        ${mosts[index] > 0 && html`<i class="bar" style=${{ width: `${Math.max(0, (100 * Number(value ?? 0)) / mosts[index])}%` }}></i>`}
      </td>`)}</tr>`)}</tbody>
    </table>
  </div>`;
}

/**
 * @param {any[][]} rows
 * @param {number} index
 */
function isNumbers(rows, index) {
  const values = rows.map((row) => row[index]).filter((value) => value !== null);
  return values.length > 0 && values.every((value) => typeof value === "number");
}

/** @param {{value: any, column: string, isNumber: boolean, query: string}} props */
function Cell({ value, column, isNumber, query }) {
  if (value === null) return html`<em class="hint">none</em>`;
  if (isNumber) return thousands(value);
  if (Array.isArray(value)) return html`<ul class="list">${value.map((item) => html`<li><${Text} text=${textOf(item)} max=${500} /></li>`)}</ul>`;
  const text = textOf(value);
  const inner = html`<${Text} text=${shown(text, place.value.zone)} max=${1_000} />`;
  // A function's column, or a time's, is no field with this value.
  if (/[()]/.test(column) || ["time", "day", "hour"].includes(column) || text.length > 4_000) return inner;
  return html`<${Pivot} to=${{ query: narrowed(split(query).filter, condition(column, text)), event: "" }}>${inner}<//>`;
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {string[]} columns
 * @param {any[][]} rows
 */
function asTsv(columns, rows) {
  const cell = (/** @type {unknown} */ value) => (value === null ? "" : textOf(value).replace(/[\t\r\n]/g, " "));
  return [columns, ...rows].map((row) => row.map(cell).join("\t")).join("\n");
}
