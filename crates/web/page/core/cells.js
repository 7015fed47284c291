// What the cells of the list of events say. Pure.

import { Digits, written } from "./json.js";
import { unquoted } from "./query.js";
import { shown } from "./time.js";

/** Targets of an event that a cell shows. */
const TARGETS_MAX = 3;

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
 * The text of a cell.
 * @param {any} hit
 * @param {string} column
 * @param {string} zone
 * @returns {string}
 */
export function cell({ event, meta }, column, zone) {
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
