// Asks for one event, or for all that share its id.

import { Refusal, askText } from "./api.js";
import { member, parse, read, textOf } from "./json.js";

/**
 * @typedef {object} Found
 * @property {any} meta
 * @property {import("./json.js").Node} record
 * @property {string} document of which the record is a part
 */

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<Found[]>}
 */
export async function fetchEvent(id, signal) {
  // As text: its numbers and its repeated keys are shown as they are.
  const document = await askText(`/v1/events/${encodeURIComponent(id)}`, { signal });
  const hits = member(read(document), "hits");
  if (hits?.kind !== "array" || hits.items.length === 0) throw new Refusal("not-found", "there is no such event");
  return hits.items.map((hit) => {
    const meta = /** @type {import("./json.js").Node} */ (member(hit, "meta"));
    const record = /** @type {import("./json.js").Node} */ (member(hit, "event"));
    return { meta: parse(textOf(meta, document)), record, document };
  });
}

/**
 * Where an event's record is, which tells it from others that share its id.
 * @param {{meta: any}} hit
 */
export function placeOf({ meta }) {
  return `${meta.offset} ${meta.file}`;
}

/**
 * The event of several that an address means: the first where it names none of them.
 * @param {Found[]} events
 * @param {string} source
 * @returns {Found | undefined}
 */
export function meantOf(events, source) {
  return events.find((one) => placeOf(one) === source) ?? events[0];
}
