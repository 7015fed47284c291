// Everything that the query finds, as a file: by a ticket, which is asked for with the token and of use once,
// so that the link has none. How the query was taken is told before.

import { html, useEffect, useState } from "../vendor/preact.js";
import { ask } from "../core/api.js";
import { answer, exportOf } from "../core/searches.js";
import { place, told } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { Text } from "./parts.js";

/** @type {[string, string][]} */
const FORMATS = [
  ["ndjson", "JSON lines: the records as delivered"],
  ["csv", "CSV: for spreadsheets"],
  ["parquet", "Parquet: for programs"],
];

/** Before the end of a ticket's life, in which it is not begun to be used. */
const MARGIN_MS = 10_000;

/** @typedef {{of: string, format: string, ticket: string, until: number, warnings: string[]}} Offer */

export function Download() {
  const [offer, setOffer] = useState(/** @type {Offer | null} */ (null));
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [begun, setBegun] = useState("");
  const { query, total, table, kept, isCut } = answer.value;
  const wanted = exportOf();
  const key = JSON.stringify(wanted);
  // What was told is of another query.
  useEffect(() => {
    setOffer(null);
    setError("");
    setBegun("");
  }, [key]);
  /** @param {string} format @returns {Promise<Offer>} */
  const asked = async (format) => {
    const at = Date.now();
    const { ticket, seconds, warnings = [] } = await ask("/v1/export/ticket", { body: { ...wanted, format } });
    return { of: key, format, ticket, until: at + seconds * 1e3 - MARGIN_MS, warnings };
  };
  /** @param {string} format @param {Offer | null} known whose warnings were read */
  const get = async (format, known) => {
    setBusy(true);
    setError("");
    try {
      const fresh = known && known.until > Date.now() ? known : await asked(format);
      const isNews = fresh.warnings.some((text) => !known?.warnings.includes(text));
      if (isNews) setOffer(fresh);
      else {
        setOffer(null);
        save(fresh.ticket);
        setBegun(format);
      }
    } catch (problem) {
      setOffer(null);
      setError(told(problem));
    }
    setBusy(false);
  };
  const current = offer?.of === key ? offer : null;
  return html`<details class="menu" name="menu"><summary>Download</summary>
    <div class="box download">
      ${wanted === null ? html`<p class="hint">There is nothing to download: nothing was asked for yet, or the query has an error.</p>` : html`
        <p>Everything that ${query ? html`<code><${Text} text=${query} max=${200} /></code>` : "the search"} finds${wanted.start ? ` from ${shown(wanted.start, place.value.zone)}` : ""}${wanted.end ? ` to ${shown(wanted.end, place.value.zone)}` : ""}:
          ${isCut && !table && kept === null ? " what its stages leave" : table ? ` ${counted(table.rows_total, "row")}` : total ? ` ${total.exact ? "" : "at least "}${counted(kept ?? total.value, "event")}` : ""}, with those that came since.</p>
        ${FORMATS.map(([format, name]) => html`<p><button disabled=${isBusy} onClick=${() => void get(format, null)}>${name}</button></p>`)}
        ${current && html`<div class="warning" role="alert"><p>Before you download ${current.format}:</p>
          <ul>${current.warnings.map((text) => html`<li><${Text} text=${text} max=${1_200} /></li>`)}</ul>
          <button class="main" disabled=${isBusy} onClick=${() => void get(current.format, current)}>Download all the same</button></div>`}
        ${begun && html`<p role="status">The browser has been told to save traildex.${begun}. It shows how far it is; a file that it calls failed, or broken off, is not whole.</p>`}
        ${error && html`<p class="error" role="alert"><${Text} text=${error} max=${400} /></p>`}
        <p class="hint">Records hold what strangers wrote. In CSV, a text that a spreadsheet would take for a formula gets a single quote in front.</p>`}
    </div></details>`;
}

/**
 * Has the browser save what a ticket stands for.
 * @param {string} ticket
 */
function save(ticket) {
  const link = document.createElement("a");
  link.href = `/v1/export?${new URLSearchParams({ ticket })}`;
  link.download = "";
  link.click();
}
