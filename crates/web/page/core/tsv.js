// A table as text for a spreadsheet: tabs between its columns. Whoever calls AWS decides what records
// contain, and spreadsheets take a cell that begins with `=` for a formula: such a text gets a single quote
// in front, as in `--format csv`. Numbers stay as they are, minus signs included.

import { Digits, written } from "./json.js";

/**
 * What spreadsheets begin a formula with, or skip before one; the wide forms are what a Japanese or Chinese
 * keyboard types. As in `crates/formats/src/csv.rs`.
 */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

/**
 * @param {string[]} columns
 * @param {any[][]} rows
 */
export function asTsv(columns, rows) {
  return [columns, ...rows].map((row) => row.map(cell).join("\t")).join("\n");
}

/** @param {any} value */
function cell(value) {
  if (value === null) return "";
  if (typeof value !== "string") return value instanceof Digits || typeof value !== "object" ? written(value) : inQuotes(written(value));
  const plain = FORMULA.test(value) ? `'${value}` : value;
  return inQuotes(plain.replace(/[\t\r\n\v\f\u0085\u2028\u2029]/g, " "));
}

/**
 * A cell that begins with a quote would end at another one.
 * @param {string} text
 */
function inQuotes(text) {
  return text.includes('"') ? `"${text.replaceAll('"', '""')}"` : text;
}
