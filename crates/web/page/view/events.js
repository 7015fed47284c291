// The list of events, in the daemon's order, with the columns of the command line's table.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { LIST_MAX, answer, more } from "../core/searches.js";
import { arrivals } from "../core/tail.js";
import { cell } from "../core/cells.js";
import { layout, resized } from "../core/columns.js";
import { placeOf } from "../core/event.js";
import { go, place, shift } from "../core/state.js";
import { counted } from "../core/text.js";
import { DRAWN_MAX, drawn, scrolledBy } from "../core/window.js";
import { Changed, Heading, dragged, kind } from "./columns.js";
import { Text, title } from "./parts.js";

/** Characters of a value that a cell shows. */
const CELL_MAX = 300;

/**
 * Whether an event is the one that is open.
 * @param {{meta: any}} hit
 */
function isOpened(hit) {
  const { event, source } = place.value;
  return hit.meta.id === event && (source === "" || placeOf(hit) === source);
}

/** The events that are listed: those that were found, or those that come. */
export function listed() {
  return place.value.view === "tail" ? arrivals.value.shown.map(({ hit }) => hit) : answer.value.hits;
}

export function Events() {
  const { columns, widths, zone, view } = place.value;
  const hits = listed();
  const isTail = view === "tail";
  const trial = dragged.value;
  const set = trial?.width === undefined ? widths : resized(widths, trial.name, trial.width);
  const { widths: laid, least } = layout(columns, set);
  const chosen = hits.findIndex(isOpened);
  const body = useRef(/** @type {HTMLElement | null} */ (null));
  const { from, to, height } = useWindow(body, hits.length, chosen);
  return html`<div class="events">
    <${Changed} />
    <table aria-rowcount=${hits.length + 1} class=${least > 0 ? "fitted" : ""} style=${{ minWidth: least > 0 ? `${least}px` : "" }}>
      <colgroup>${columns.map((name, at) => html`<col key=${name} class=${kind(name)} style=${{ width: laid[at] }} />`)}</colgroup>
      <${Heading} isTail=${isTail} />
      <tbody ref=${body}>
        <${Room} key="above" rows=${from} height=${height} />
        ${hits.slice(from, to).map((hit, index) => html`<${Row} key=${hit.number ?? placeOf(hit)} hit=${hit} columns=${columns} zone=${zone} isChosen=${from + index === chosen} number=${isTail ? undefined : from + index + 2} />`)}
        <${Room} key="below" rows=${hits.length - to} height=${height} />
      </tbody>
    </table>
    ${!isTail && html`<${End} count=${hits.length} />`}
  </div>`;
}

/** What stands below the list: the way to more of it, or why there is none. @param {{count: number}} props */
function End({ count }) {
  const { cursor, isBusy, total, isFull } = answer.value;
  if (isFull && cursor) return html`<p class="note end" role="status">The list ends here. It keeps ${counted(LIST_MAX, "event")}, or fewer large ones: narrow the time or the query, or download all.</p>`;
  if (cursor) return html`<${More} isBusy=${isBusy} key=${cursor} />`;
  return count > 0 && html`<p class="hint end">${total && total.value > count ? "" : "That is all."}${count > DRAWN_MAX && " The browser's own search sees the events in sight only; a query sees all."}</p>`;
}

/** The room of rows that are not drawn. @param {{rows: number, height: number}} props */
function Room({ rows, height }) {
  return rows > 0 && html`<tr class="room" aria-hidden="true"><td style=${{ height: `${rows * height}px` }}></td></tr>`;
}

/**
 * The rows that are drawn, and how high one is. All rows are of one height.
 * @param {{current: HTMLElement | null}} body
 * @param {number} count
 * @param {number} chosen place of the row that is to be in sight; -1 where there is none
 */
function useWindow(body, count, chosen) {
  const [span, setSpan] = useState(/** @type {[number, number]} */ ([0, DRAWN_MAX]));
  const height = useRef(23);
  const now = useRef(span);
  useEffect(() => {
    const main = body.current?.closest("main");
    if (!main || count <= DRAWN_MAX) return undefined;
    const look = () => {
      const row = body.current?.querySelector("tr[data-id]");
      if (!body.current || !row) return;
      height.current = row.getBoundingClientRect().height || height.current;
      const above = main.getBoundingClientRect().top - body.current.getBoundingClientRect().top;
      const next = drawn(now.current, count, above / height.current, (above + main.clientHeight) / height.current);
      if (next === now.current) return;
      now.current = next;
      setSpan(next);
    };
    look();
    main.addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      main.removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [count]);
  useEffect(() => {
    const main = body.current?.closest("main");
    if (chosen < 0 || !main || !body.current) return;
    const row = body.current.querySelector("tr.chosen");
    if (row) {
      row.scrollIntoView({ block: "nearest", inline: "nearest" });
      return;
    }
    // It is drawn once it is in sight. The heading covers the first row.
    const top = body.current.getBoundingClientRect().top - main.getBoundingClientRect().top + chosen * height.current;
    main.scrollBy(0, scrolledBy(top - 2 * height.current, 2 * height.current, main.clientHeight - 2 * height.current));
  }, [chosen]);
  const [from, to] = count <= DRAWN_MAX ? [0, count] : span;
  // The list may have become shorter.
  return { from: Math.min(from, count), to: Math.min(to, count), height: height.current };
}

/** @param {{hit: any, columns: string[], zone: string, isChosen: boolean, number: number | undefined}} props */
function Row({ hit, columns, zone, isChosen, number }) {
  // Thousands of rows stay as they are while one is chosen, or others come.
  return useMemo(() => {
    const { outcome, credential, flags } = hit.meta;
    const kinds = [isChosen && "chosen", outcome === "denied" && "denied", outcome === "failure" && "failure", credential === "root" && "root", flags?.length && "flagged"];
    return html`<tr class=${kinds.filter(Boolean).join(" ")} aria-current=${isChosen ? "true" : undefined} aria-rowindex=${number} data-id=${hit.meta.id}
      onClick=${() => open(hit)}>
      ${columns.map((name) => {
        const text = cell(hit, name, zone);
        return html`<td key=${name} class=${kind(name)} title=${title(text)}>${name === "id"
          ? html`<button class="plain" aria-label=${`Open event ${title(hit.meta.id)}`} onClick=${(/** @type {Event} */ event) => {
              event.stopPropagation();
              open(hit);
            }}><${Text} text=${text} max=${80} /></button>`
          : html`<${Text} text=${text} max=${CELL_MAX} />`}</td>`;
      })}
    </tr>`;
  }, [hit, columns, zone, isChosen, number]);
}

/** @param {any} hit */
function open(hit) {
  // Text was selected, not a row.
  if ((getSelection()?.toString() ?? "") !== "") return;
  const opened = { event: hit.meta.id, source: placeOf(hit) };
  if (place.value.event === "") go(opened);
  else shift(opened);
}

/**
 * Chooses the next event, or the one before.
 * @param {number} step
 */
export function step(step) {
  const hits = listed();
  const cursor = place.value.view === "events" && answer.value.cursor;
  if (hits.length === 0) return;
  const found = hits.findIndex(isOpened);
  const to = Math.min(Math.max(found + step, 0), hits.length - 1);
  if (to >= hits.length - 3 && cursor) void more();
  open(hits[to]);
}

/** Asks for the next page when its button comes into view. @param {{isBusy: boolean}} props */
function More({ isBusy }) {
  const button = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    const watcher = new IntersectionObserver(([entry]) => {
      if (entry.isIntersecting) void more();
    }, { rootMargin: "600px" });
    if (button.current) watcher.observe(button.current);
    return () => watcher.disconnect();
  }, []);
  return html`<button class="load" ref=${button} disabled=${isBusy} onClick=${() => void more()}>${isBusy ? "Loading…" : "Load more"}</button>`;
}
