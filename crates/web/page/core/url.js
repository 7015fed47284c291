// The view in the address: all that a link must say, behind the `#`, which a browser sends nowhere.

import { ALL, formatShown, parseShown } from "./alerts.js";
import { WHOLE, formatInventory, parseInventory } from "./archive.js";
import { COLUMNS, forAddress, fromAddress, widthOf } from "./columns.js";
import { isField } from "./query.js";
import { RANGE_DEFAULT, isRange, isZone } from "./time.js";

/**
 * @typedef {object} Place
 * @property {string} query
 * @property {string} range
 * @property {string} zone
 * @property {"newest" | "oldest"} order
 * @property {string} by the field by which the timeline's bars are broken down
 * @property {string[]} columns of the list
 * @property {import("./columns.js").Width[]} widths of columns, as a person has set them
 * @property {string} event the id of the event that is open; empty where none is
 * @property {string} source the place of its record, where several events could share the id; else empty
 * @property {string} other the id of the event that is kept to be compared; empty where none is
 * @property {string} otherSource the place of its record, as `source`
 * @property {"" | "bars" | "lines" | "none"} chart how a table is drawn; empty where that is left to the page
 * @property {string} measure the column of a table that is drawn; empty for the first
 * @property {"events" | "archive" | "tail" | "alerts"} view
 * @property {import("./archive.js").Inventory} inventory what the view of the archive shows
 * @property {import("./alerts.js").Shown} alerts what the view of alerts shows
 */

/** @type {Place} */
export const START = {
  query: "",
  range: RANGE_DEFAULT,
  zone: "UTC",
  order: "newest",
  by: "outcome",
  columns: COLUMNS,
  widths: [],
  event: "",
  source: "",
  other: "",
  otherSource: "",
  chart: "",
  measure: "",
  view: "events",
  inventory: WHOLE,
  alerts: ALL,
};

/**
 * The place that an address names. What it does not say, or says wrongly, is as at the start.
 * @param {string} hash
 * @returns {Place}
 */
export function parse(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const range = said.get("t") ?? "";
  const zone = said.get("z") ?? "";
  const by = said.get("by") ?? "";
  const event = said.get("e") ?? "";
  const other = said.get("d") ?? "";
  const columns = fromAddress(said.getAll("c").filter(isField));
  return {
    query: said.get("q") ?? "",
    range: isRange(range) ? range : START.range,
    zone: zone !== "" && isZone(zone) ? zone : START.zone,
    order: said.get("o") === "oldest" ? "oldest" : "newest",
    by: isField(by) ? by : START.by,
    columns,
    widths: widthsOf(said.getAll("w"), columns),
    event,
    source: event === "" ? "" : (said.get("s") ?? ""),
    other,
    otherSource: other === "" ? "" : (said.get("ds") ?? ""),
    chart: chartOf(said.get("ch")),
    measure: said.get("m") ?? "",
    view: viewOf(said.get("v")),
    inventory: said.get("v") === "archive" ? parseInventory(said) : WHOLE,
    alerts: said.get("v") === "alerts" ? parseShown(said) : ALL,
  };
}

/**
 * @param {string[]} said
 * @param {string[]} columns
 */
function widthsOf(said, columns) {
  const found = said.map((text) => widthOf(text, columns)).filter((width) => width !== undefined);
  return [...new Map(found)];
}

/**
 * @param {string | null} name
 * @returns {Place["view"]}
 */
function viewOf(name) {
  return name === "archive" || name === "tail" || name === "alerts" ? name : START.view;
}

/**
 * @param {string | null} name
 * @returns {Place["chart"]}
 */
function chartOf(name) {
  return name === "bars" || name === "lines" || name === "none" ? name : "";
}

/**
 * The address of a place; what is as at the start is left out.
 * @param {Place} place
 */
export function format(place) {
  const said = new URLSearchParams();
  if (place.query !== "") said.set("q", place.query);
  if (place.range !== START.range) said.set("t", place.range);
  if (place.zone !== START.zone) said.set("z", place.zone);
  if (place.order !== START.order) said.set("o", place.order);
  if (place.by !== START.by) said.set("by", place.by);
  for (const column of forAddress(place.columns)) said.append("c", column);
  for (const [column, width] of place.widths) said.append("w", `${width} ${column}`);
  if (place.event !== "") said.set("e", place.event);
  if (place.event !== "" && place.source !== "") said.set("s", place.source);
  if (place.other !== "") said.set("d", place.other);
  if (place.other !== "" && place.otherSource !== "") said.set("ds", place.otherSource);
  if (place.chart !== "") said.set("ch", place.chart);
  if (place.measure !== "") said.set("m", place.measure);
  if (place.view !== START.view) said.set("v", place.view);
  if (place.view === "archive") formatInventory(place.inventory, said);
  if (place.view === "alerts") formatShown(place.alerts, said);
  // Tickets cut a link at these.
  const text = said.toString().replaceAll("*", "%2A").replaceAll("+", "%20");
  return `#${text}`;
}

/**
 * Takes the token out of an address; the rest of it stays.
 * @param {string} hash
 * @returns {{token?: string, rest: string}}
 */
export function takeToken(hash) {
  const match = /^#token=([0-9a-f]{16,128})&?(.*)$/s.exec(hash);
  return match ? { token: match[1], rest: match[2] === "" ? "" : `#${match[2]}` } : { rest: hash };
}
