// Keys, and what they do; never while somebody types.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { go, place } from "../core/state.js";
import { stepAlert } from "./alerts.js";
import { keepOther } from "./compare.js";
import { close } from "./detail.js";
import { listed, step } from "./events.js";
import { QUERY_ID } from "./querybar.js";
import { closeAlert } from "./triage.js";

/** @type {[string, string][]} */
const KEYS = [
  ["/", "to the query"],
  ["Enter", "in the query: search; Shift+Enter is a new line"],
  ["Tab, ↓ ↑", "in the query: take a completion"],
  ["↑ ↓", "in the query, at its beginning or end: the queries before"],
  ["j, k", "the next event or alert, the one before"],
  ["Enter", "open the first event or alert"],
  ["c", "keep the open event to compare it with the next one; and end that"],
  ["Esc", "close the event or alert"],
  ["← →", "on a column's heading: move it; with Shift, resize it; Home its first width, Delete takes it away"],
  ["a", "the archive: its files, gaps and health; and back to the events"],
  ["l", "the alerts: what rules found; and back"],
  ["t", "the tail: new events as they come; and back"],
  ["?", "these keys"],
];

/** Whether a key is for the list, and not for what has the focus. @param {KeyboardEvent} event */
function isFirst(event) {
  return event.key === "Enter" && event.target === document.body;
}

/** What a key does in a list of events; tells whether it is one of its keys. @param {KeyboardEvent} event */
function pressEvents(event) {
  const { event: open, other } = place.value;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (isFirst(event) && open === "" && listed().length > 0) step(1);
  else if (event.key === "c" && (open !== "" || other !== "")) keepOther();
  else if (event.key === "Escape") close();
  else return false;
  return true;
}

/** As {@link pressEvents}, for alerts. @param {KeyboardEvent} event */
function pressAlerts(event) {
  if (event.key === "j") stepAlert(1);
  else if (event.key === "k") stepAlert(-1);
  else if (isFirst(event) && place.value.alerts.id === "") stepAlert(1);
  else if (event.key === "Escape") closeAlert();
  else return false;
  return true;
}

function pressNothing() {
  return false;
}

/** Follows the keys. @param {{current: HTMLDialogElement | null}} dialog */
function useKeys(dialog) {
  useEffect(() => {
    /** @param {KeyboardEvent} event */
    const press = (event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      const isTyping = target.closest("input:not([type=checkbox]), textarea, select, dialog[open]") !== null;
      if (event.key === "Escape") closeMenus();
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const { view } = place.value;
      if (event.key === "a") go({ view: view === "archive" ? "events" : "archive" });
      else if (event.key === "l") go({ view: view === "alerts" ? "events" : "alerts" });
      else if (event.key === "t") go({ view: view === "tail" ? "events" : "tail", event: "" });
      else if (event.key === "/") document.getElementById(QUERY_ID)?.focus();
      else if (event.key === "?") dialog.current?.showModal();
      else if (!(view === "alerts" ? pressAlerts : view === "archive" ? pressNothing : pressEvents)(event)) return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    addEventListener("click", closeOthers);
    return () => {
      removeEventListener("keydown", press);
      removeEventListener("click", closeOthers);
    };
  }, []);
}

function closeMenus() {
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.removeAttribute("open");
}

/** @param {Event} event */
function closeOthers(event) {
  // What was clicked may be gone by now: an entry of a list that it removed.
  const path = event.composedPath();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!path.includes(menu)) menu.removeAttribute("open");
  }
}

export function Help() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useKeys(dialog);
  return html`<button aria-label="Keys" title="Keys (?)" onClick=${() => dialog.current?.showModal()}>?</button>
    <dialog ref=${dialog} aria-label="Keys">
      <h2>Keys</h2>
      <table class="facts"><tbody>${KEYS.map(([key, does]) => html`<tr><th scope="row"><kbd>${key}</kbd></th><td>${does}</td></tr>`)}</tbody></table>
      <h2>Queries</h2>
      <table class="facts"><tbody>
        ${[
          ["eventName:CreateUser", "a field's whole value"],
          ["errorCode:*Unauthorized*", "a value by wildcards"],
          ["203.0.113.7", "a word or an address, in any field"],
          ["ip:10.0.0.0/8 NOT outcome:success", "a network; what is left out"],
          ["errorCode:* | top 10 actor, errorCode", "a table"],
          ["* | timeline 1h by service", "events an hour"],
        ].map(([query, does]) => html`<tr><th scope="row"><code>${query}</code></th><td>${does}</td></tr>`)}
      </tbody></table>
      <p class="hint">The whole language: traildex help query.</p>
      <form method="dialog"><button class="main">Close</button></form>
    </dialog>`;
}
