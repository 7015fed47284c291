// The rows that a query's stages make: as a table with bars beside its numbers. A click on a value goes
// to its events.

import { html } from "../vendor/preact.js";
import { Digits, labels, written } from "../core/json.js";
import { baseOf, condition, fieldOfColumn, narrowed } from "../core/query.js";
import { answer } from "../core/searches.js";
import { place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { asTsv } from "../core/tsv.js";
import { Copy, Pivot, Text } from "./parts.js";

export function Table() {
  const { table, query } = answer.value;
  if (!table) return null;
  const { columns, rows } = table;
  const numbers = columns.map((_, index) => isNumbers(rows, index));
  const mosts = columns.map((_, index) => (numbers[index] ? Math.max(0, ...rows.map((row) => Number(row[index] ?? 0))) : 0));
  const fields = columns.map((name) => fieldOfColumn(query, name));
  const names = columns.map((_, index) => labels(rows.map((row) => row[index])));
  return html`<div class="answer">
    <p class="hint">${counted(table.rows_total, "row")}${table.rows_total > rows.length && ` of which ${thousands(rows.length)} are shown`}${!table.exact && ", of which some numbers are estimates"}
      <${Copy} kind="" text=${() => asTsv(columns, rows)} label="Copy the table with tabs between its columns. A text that a spreadsheet would take for a formula gets a ' in front">Copy table<//></p>
    <table class="rows">
      <thead><tr>${columns.map((name, index) => html`<th scope="col" key=${index} class=${numbers[index] ? "number" : ""}><${Text} text=${name} max=${80} /></th>`)}</tr></thead>
      <tbody>${rows.map((row, at) => html`<tr key=${at}>${row.map((value, index) => html`<td key=${index} class=${numbers[index] ? "number" : ""}>
        <${Cell} value=${value} field=${fields[index]} label=${names[index]} isNumber=${numbers[index]} query=${query} />
        ${mosts[index] > 0 && mosts[index] < Infinity && html`<i class="bar" style=${{ width: `${Math.max(0, (100 * Number(value ?? 0)) / mosts[index])}%` }}></i>`}
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
  return values.length > 0 && values.every((value) => typeof value === "number" || value instanceof Digits);
}

/**
 * @param {{value: any, field: string | undefined, label: (value: any) => string, isNumber: boolean, query: string}} props
 */
function Cell({ value, field, label, isNumber, query }) {
  if (value === null) return html`<em class="hint">none</em>`;
  if (isNumber) return thousands(value);
  if (Array.isArray(value)) return html`<ul class="list">${value.map((item) => html`<li><${Text} text=${labels(value)(item)} max=${500} /></li>`)}</ul>`;
  const text = written(value);
  const inner = html`<${Text} text=${shown(label(value), place.value.zone)} max=${1_000} />`;
  // A function's column, or a time's, is no field with this value.
  if (field === undefined || field === "time" || text.length > 4_000) return inner;
  return html`<${Pivot} to=${{ query: narrowed(baseOf(query).filter, condition(field, text)), event: "" }}>${inner}<//>`;
}
