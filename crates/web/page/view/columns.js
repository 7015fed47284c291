// The heading of the list of events: columns are moved and resized by the mouse and by the keys.

import { html, signal } from "../vendor/preact.js";
import { COLUMNS, WIDTH_MAX, WIDTH_MIN, isFixed, isOwn, moved, resized } from "../core/columns.js";
import { go, place, shift } from "../core/state.js";
import { Text, title } from "./parts.js";

/** Pixels after which a press is a drag, and by which a key changes a width. */
const DRAG_MIN = 6;
const STEP = 20;

/** What is being dragged: the width that it would have, or the place that it would go to. */
/** @type {import("../vendor/preact.js").Signal<{name: string, width?: number, to?: number} | null>} */
export const dragged = signal(/** @type {{name: string, width?: number, to?: number} | null} */ (null));

/** What the keys have done, for those who do not see it. */
const told = signal("");

/** A drag that has just ended is no click. */
let hasDragged = false;

const HINT = "Drag it to move it, its edge to resize it. With the keyboard: arrow keys move it, with Shift they resize it; Home gives it its first width, Delete takes it away";

/**
 * The class of a column; others' names are anybody's.
 * @param {string} name
 */
export const kind = (name) => (isOwn(name) ? `of-${name}` : "of-other");

/** Whether the columns are others than at first. */
export function isChanged() {
  const { columns, widths } = place.value;
  return widths.length > 0 || columns.join("\n") !== COLUMNS.join("\n");
}

/** @param {{isTail: boolean}} props */
export function Heading({ isTail }) {
  const { columns } = place.value;
  return html`<thead><tr aria-rowindex="1">${columns.map((name, at) => html`<${Column} key=${name} name=${name} at=${at} isTail=${isTail} />`)}</tr></thead>`;
}

/** What stands above the list: how to have the columns as they were, and what the keys did. */
export function Changed() {
  return html`<div class="changed">
    <span class="sr" id="column-keys">${HINT}</span><span class="sr" role="status">${told.value}</span>
    ${isChanged() && html`<button class="more" onClick=${() => shift({ columns: COLUMNS, widths: [] })}>Columns as at first</button>`}
  </div>`;
}

/** @param {{name: string, at: number, isTail: boolean}} props */
function Column({ name, at, isTail }) {
  const { columns, zone, order } = place.value;
  const drag = dragged.value;
  const from = drag ? columns.indexOf(drag.name) : -1;
  const drop = drag?.to === at && from !== at ? (from < at ? "drop-behind" : "drop-before") : "";
  const label = name === "time" ? `time (${zone})` : name;
  return html`<th scope="col" class=${`${kind(name)} ${drop} ${drag?.name === name && drag.to !== undefined ? "moves" : ""}`} tabindex="0" title=${HINT} aria-describedby="column-keys" data-column=${name}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => press(event, name)} onPointerDown=${(/** @type {PointerEvent} */ event) => move(event, name)}>
    ${name === "time" && !isTail
      ? html`<button class="plain" onClick=${() => !hasDragged && go({ order: order === "newest" ? "oldest" : "newest", event: "" })} title=${`${order} first`}>${label} ${order === "newest" ? "↓" : "↑"}</button>`
      : html`<${Text} text=${label} max=${60} />`}
    ${!isFixed(name) && html`<button class=${`mini ${isOwn(name) ? "faint" : ""}`} tabindex=${isOwn(name) ? -1 : 0} aria-label=${`Remove the column ${title(name)}`} onClick=${() => remove(name)}>×</button>`}
    <span class="grip" aria-hidden="true" onPointerDown=${(/** @type {PointerEvent} */ event) => resize(event, name)} onDblClick=${() => widen(name, null)}></span>
  </th>`;
}

/** @param {string} name */
function remove(name) {
  const { columns, widths } = place.value;
  shift({ columns: columns.filter((other) => other !== name), widths: resized(widths, name, null) });
}

/**
 * @param {string} name
 * @param {number | null} width
 */
function widen(name, width) {
  shift({ widths: resized(place.value.widths, name, width) });
}

/**
 * @param {KeyboardEvent} event
 * @param {string} name
 */
function press(event, name) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target !== event.currentTarget) return;
  const heading = /** @type {HTMLElement} */ (event.currentTarget);
  const { columns } = place.value;
  const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
  const shown = title(name);
  if (step !== 0 && event.shiftKey) {
    const width = Math.min(Math.max(heading.offsetWidth + step * STEP, WIDTH_MIN), WIDTH_MAX);
    widen(name, width);
    told.value = `${shown} is ${width} pixels wide`;
  } else if (step !== 0) {
    const to = Math.min(Math.max(columns.indexOf(name) + step, 0), columns.length - 1);
    shift({ columns: moved(columns, name, to) });
    told.value = `${shown} is column ${to + 1} of ${columns.length}`;
    // A heading that was moved in the document may have lost the focus.
    requestAnimationFrame(() => headings(heading).find((other) => other.dataset.column === name)?.focus());
  } else if (event.key === "Home") {
    widen(name, null);
    told.value = `${shown} has its first width`;
  } else if (event.key === "Delete" && !isFixed(name)) {
    const next = headings(heading)[columns.indexOf(name) + 1];
    remove(name);
    told.value = `${shown} is taken away`;
    next?.focus();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

/** @param {HTMLElement} heading @returns {HTMLElement[]} */
function headings(heading) {
  return [...(heading.closest("table")?.querySelectorAll("th") ?? [])];
}

/**
 * Follows a press until it ends.
 * @param {PointerEvent} event
 * @param {(by: number, x: number) => void} along how far it is from where it began, and where it is
 * @param {() => void} end not called where it is given up
 */
function follow(event, along, end) {
  const begun = event.clientX;
  const ending = new AbortController();
  const { signal } = ending;
  const over = () => {
    ending.abort();
    dragged.value = null;
    // The click that follows belongs to the drag.
    setTimeout(() => (hasDragged = false));
  };
  addEventListener("pointermove", (next) => along(next.clientX - begun, next.clientX), { signal });
  addEventListener("pointerup", () => {
    if (dragged.value) {
      hasDragged = true;
      end();
    }
    over();
  }, { signal });
  addEventListener("pointercancel", over, { signal });
  addEventListener("keydown", (key) => key.key === "Escape" && over(), { signal, capture: true });
}

/**
 * @param {PointerEvent} event
 * @param {string} name
 */
function resize(event, name) {
  if (event.button !== 0) return;
  event.preventDefault();
  event.stopPropagation();
  const before = /** @type {HTMLElement} */ (event.currentTarget).parentElement?.offsetWidth ?? 0;
  follow(event, (by) => (dragged.value = { name, width: Math.min(Math.max(before + by, WIDTH_MIN), WIDTH_MAX) }), () => widen(name, dragged.value?.width ?? null));
}

/**
 * @param {PointerEvent} event
 * @param {string} name
 */
function move(event, name) {
  if (event.button !== 0) return;
  const all = headings(/** @type {HTMLElement} */ (event.currentTarget));
  follow(event, (by, x) => {
    if (Math.abs(by) < DRAG_MIN && !dragged.value) return;
    getSelection()?.removeAllRanges();
    const found = all.findIndex((heading) => x < heading.getBoundingClientRect().right);
    dragged.value = { name, to: found < 0 ? all.length - 1 : found };
  }, () => shift({ columns: moved(place.value.columns, name, dragged.value?.to ?? 0) }));
}
