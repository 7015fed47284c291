// Small pieces that several views are made of.

import { html } from "../vendor/preact.js";
import { VALUE_BYTES_MAX, condition, narrowed, without } from "../core/query.js";
import { addressOf, done, go, place } from "../core/state.js";
import { parts, shortened, visible } from "../core/text.js";

/** Characters of a value that a title shows. */
const TITLE_MAX = 300;

/**
 * Text of a record: always text, whatever is in it.
 * @param {{text: string, max?: number}} props
 */
export function Text({ text, max = 2_000 }) {
  const [begun, left] = shortened(text, max);
  return html`<bdi class="text">${parts(begun).map(({ text: part, isCode }) =>
    isCode ? html`<span class="code" title="a character that is not shown as it is">${part}</span>` : part,
  )}${left > 0 && html`<span class="left"> … ${left.toLocaleString("en-US")} more characters</span>`}</bdi>`;
}

/**
 * For attributes.
 * @param {string} text
 */
export function title(text) {
  const [begun, left] = shortened(text, TITLE_MAX);
  return visible(begun) + (left > 0 ? " …" : "");
}

/**
 * Narrows the query to a value, or to what has no value.
 * @param {string} field as a query has it
 * @param {string | null} value
 */
export function filterFor(field, value) {
  go({ query: narrowed(place.value.query, condition(field, value)), event: "" }, `Only ${field} ${shortName(value)}`);
}

/**
 * Leaves a value out.
 * @param {string} field
 * @param {string | null} value
 */
export function filterOut(field, value) {
  go({ query: without(place.value.query, field, value), event: "" }, `Without ${field} ${shortName(value)}`);
}

/** @param {string | null} value */
function shortName(value) {
  if (value === null) return "that is not there";
  const [begun, left] = shortened(visible(value), 40);
  return begun + (left > 0 ? "…" : "");
}

/**
 * The buttons beside a value: only this, not this, copy.
 * @param {{field: string, value: string | null, canCopy?: boolean}} props
 */
export function Actions({ field, value, canCopy = true }) {
  const what = `${title(field)} ${value === null ? "missing" : title(value)}`;
  const isLong = value !== null && value.length > VALUE_BYTES_MAX / 4;
  return html`<span class="actions">
    ${!isLong && html`<button class="mini" title="Only this" aria-label=${`Only ${what}`} onClick=${() => filterFor(field, value)}>+</button>
      <button class="mini" title="Without this" aria-label=${`Without ${what}`} onClick=${() => filterOut(field, value)}>−</button>`}
    ${canCopy && value !== null && html`<${Copy} text=${value} label=${`Copy ${title(field)}`} />`}
  </span>`;
}

/**
 * @param {{text: string | (() => string), label: string, children?: any, kind?: string}} props
 */
export function Copy({ text, label, children, kind = "mini" }) {
  /** @param {MouseEvent} event */
  const copy = async (event) => {
    const button = /** @type {HTMLElement} */ (event.currentTarget);
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(typeof text === "string" ? text : text());
      button.dataset.state = "done";
      button.title = "Copied";
    } catch {
      button.dataset.state = "failed";
      button.title = "This browser does not let the page copy";
    }
    setTimeout(() => {
      delete button.dataset.state;
      if (before !== null) button.title = label;
    }, 1_500);
  };
  return html`<button class=${`${kind} copy`} title=${label} aria-label=${children === undefined ? label : undefined} onClick=${copy}>${children ?? "copy"}</button>`;
}

/**
 * A link to another view, which can be opened in a new tab.
 * @param {{to: Partial<import("../core/url.js").Place>, children: any}} props
 */
export function Pivot({ to, children }) {
  /** @param {MouseEvent} event */
  const follow = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(to);
  };
  return html`<a href=${addressOf(to)} onClick=${follow}>${children}</a>`;
}

/** What was just done, with the way back. */
export function Undo() {
  if (done.value === "") return null;
  return html`<div class="undo" role="status">
    <${Text} text=${done.value} max=${120} />
    <button onClick=${() => history.back()}>Undo</button>
    <button class="mini" aria-label="Close" onClick=${() => (done.value = "")}>×</button>
  </div>`;
}
