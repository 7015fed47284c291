// Events over time: bars by a chosen field. Drag over them, or click one, to narrow the time. The view of
// alerts draws its own with what is here.

import { html, useRef, useState } from "../vendor/preact.js";
import { barAt, widthName } from "../core/bars.js";
import { answer, gaps, gapsError, timeline } from "../core/searches.js";
import { extent, go, place } from "../core/state.js";
import { counted, thousands, visible } from "../core/text.js";
import { moment, shown, ticks } from "../core/time.js";
import { Text, title } from "./parts.js";

const BREAKDOWNS = ["outcome", "actor", "action", "service", "credential", "region", "ip", "account"];

/** Values with a colour of their own; the others share one. */
const COLOURS = 6;

const HEIGHT = 84;
const WIDTH = 1000;

/** @type {Record<string, string>} */
const OUTCOMES = { success: "c-success", denied: "c-denied", failure: "c-failure" };

/**
 * The class of a value that has a colour.
 * @param {string} value
 * @param {string[]} values the most frequent first
 */
export function colour(value, values) {
  const at = values.indexOf(value);
  return OUTCOMES[value] ?? (at >= 0 && at < COLOURS ? `c-${at}` : "c-other");
}

export function Timeline() {
  const found = timeline.value;
  const { by, zone } = place.value;
  const total = found?.bars.reduce((sum, bar) => sum + sumOf(bar.counts), 0) ?? 0;
  return html`<section class=${`timeline ${found?.isBusy ? "busy" : ""}`} aria-label="Timeline">
    <div class="head">
      <label>Bars by <select aria-label="Bars by" value=${by} onChange=${(/** @type {any} */ event) => go({ by: event.currentTarget.value })}>
        ${[...new Set([...BREAKDOWNS, by])].map((name) => html`<option value=${name}>${name}</option>`)}
      </select></label>
      ${found && html`<${Legend} values=${found.values} colour=${colour} />`}
      <span class="grow"></span>
      ${found?.note && html`<span class="hint"><${Text} text=${found.note} max=${300} /></span>`}
      ${found && gapsError.value && html`<span class="hint">what the archive does not cover is not drawn: <${Text} text=${gapsError.value} max=${300} /></span>`}
      ${found && answer.value.isCut && html`<span class="hint">before the stages</span>`}
      ${found && html`<span class="hint">a bar is ${widthName(found.width)}</span>`}
      <${Widen} found=${found} />
    </div>
    ${found ? html`<${Chart} found=${found} zone=${zone} label=${counted(total, "event")} colour=${colour} gaps=${gaps.value} />` : html`<div class="chart empty"></div>`}
  </section>`;
}

/** The ways to more time. @param {{found: import("../core/searches.js").Timeline | null}} props */
export function Widen({ found }) {
  return html`<button onClick=${() => found && go({ range: wider(found) })} disabled=${!found}>Wider</button>
    <button onClick=${() => go({ range: "all" })}>All time</button>`;
}

/** @typedef {(value: string, values: string[]) => string} Colour the class of a value */

/** @param {Map<string, number>} counts */
function sumOf(counts) {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** @param {import("../core/searches.js").Timeline} found */
function wider({ start, end }) {
  const more = Math.max(end - start, 1e3) / 2;
  const whole = (/** @type {number} */ ms) => moment(Math.floor(ms / 1e3) * 1e3);
  return `${whole(start - more)}..${whole(end + more)}`;
}

/** @param {{values: string[], colour: Colour}} props */
export function Legend({ values, colour }) {
  const named = values.slice(0, COLOURS);
  return html`<ul class="legend">
    ${named.map((value) => html`<li><i class=${colour(value, values)}></i><span title=${title(value)}><${Text} text=${value} max=${200} /></span></li>`)}
    ${values.length > COLOURS && html`<li><i class="c-other"></i>${counted(values.length - COLOURS, "other")}</li>`}
  </ul>`;
}

/** @typedef {{account: string, region: string, start: string, end: string}} Gap */

/**
 * @param {{found: import("../core/searches.js").Timeline, zone: string, label: string, colour: Colour, gaps: Gap[]}} props
 *   `label` says how much is drawn
 */
export function Chart({ found, zone, label: drawn, colour, gaps }) {
  const { start, end, bars, values } = found;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [brush, setBrush] = useState(/** @type {[number, number] | null} */ (null));
  const most = Math.max(1, ...bars.map(({ counts }) => sumOf(counts)));
  const x = (/** @type {number} */ ms) => (WIDTH * (ms - start)) / (end - start);
  const at = (/** @type {PointerEvent} */ event) => {
    const { left, width } = /** @type {HTMLElement} */ (box.current).getBoundingClientRect();
    return start + Math.min(1, Math.max(0, (event.clientX - left) / width)) * (end - start);
  };
  const narrow = (/** @type {number} */ from, /** @type {number} */ to) => {
    // To whole bars, which is what was pointed at.
    const [first, firstEnd] = barAt(from, found.width, found.zone);
    const [lastBegin, lastEnd] = barAt(to, found.width, found.zone);
    const last = lastBegin === to ? Math.max(to, firstEnd) : lastEnd;
    go({ range: `${moment(Math.max(first, Math.floor(start / 1e3) * 1e3))}..${moment(last)}` });
  };
  const peak = bars.reduce((best, { at: when, counts }) => (sumOf(counts) > best[1] ? [when, sumOf(counts)] : best), [0, 0]);
  const label = `${drawn} from ${shown(moment(Math.floor(start / 1e3) * 1e3), zone)} to ${shown(moment(Math.floor(end / 1e3) * 1e3), zone)}`
    + (peak[1] > 0 ? `, most at ${shown(moment(peak[0]), zone)}: ${thousands(peak[1])}` : "");
  return html`<div class="chart" ref=${box} role="img" aria-label=${label}
    onPointerDown=${(/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
      setBrush([at(event), at(event)]);
    }}
    onPointerMove=${(/** @type {PointerEvent} */ event) => brush && setBrush([brush[0], at(event)])}
    onPointerUp=${(/** @type {PointerEvent} */ event) => {
      if (!brush) return;
      setBrush(null);
      const [from, to] = [Math.min(brush[0], at(event)), Math.max(brush[0], at(event))];
      narrow(from, to);
    }}
    onPointerCancel=${() => setBrush(null)}>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" height=${HEIGHT}>
      <defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="gap-line" width="2" height="6" /></pattern></defs>
      <${Uncovered} x=${x} start=${start} end=${end} zone=${zone} gaps=${gaps} />
      ${bars.map(({ at: when, end: until, counts }) => html`<${Bar} key=${when} x=${x(Math.max(when, start))} width=${x(Math.min(until, end)) - x(Math.max(when, start))} counts=${counts} values=${values} most=${most} colour=${colour}
        title=${titleOf(when, counts, zone)} />`)}
      ${brush && html`<rect class="brush" x=${x(Math.min(...brush))} width=${Math.abs(x(brush[1]) - x(brush[0]))} y="0" height=${HEIGHT} />`}
    </svg>
    <span class="most" aria-hidden="true">${thousands(most)}</span>
    <div class="axis" aria-hidden="true">${ticks(start, end, zone).map(({ at: when, text }) => html`<span style=${{ left: `${x(when) / 10}%` }}>${text}</span>`)}</div>
  </div>`;
}

/**
 * @param {number} when
 * @param {Map<string, number>} counts
 * @param {string} zone
 */
function titleOf(when, counts, zone) {
  const lines = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12);
  const rest = counts.size > lines.length ? `\n… and ${counts.size - lines.length} more` : "";
  return `${shown(moment(when), zone)}\n${lines.map(([value, count]) => `${visible(value.slice(0, 60))}: ${thousands(count)}`).join("\n")}${rest}`;
}

/**
 * @param {{x: number, width: number, counts: Map<string, number>, values: string[], most: number, colour: Colour, title: string}} props
 */
function Bar({ x, width, counts, values, most, colour, title }) {
  let y = HEIGHT;
  const named = values.slice(0, COLOURS).filter((value) => counts.has(value));
  const parts = named.map((value) => /** @type {[string, number]} */ ([colour(value, values), counts.get(value) ?? 0]));
  const other = [...counts].reduce((sum, [value, count]) => sum + (values.indexOf(value) < COLOURS ? 0 : count), 0);
  if (other > 0) parts.push(["c-other", other]);
  const gap = Math.min(1, width / 5);
  return html`<g>
    <title>${title}</title>
    <rect class="hit" x=${x} y="0" width=${width} height=${HEIGHT} />
    ${parts.map(([kind, count]) => {
      // What is there is seen, however little.
      const height = Math.max(1.5, (count / most) * (HEIGHT - 4));
      y -= height;
      return html`<rect class=${kind} x=${x + gap / 2} y=${Math.max(y, 0)} width=${Math.max(width - gap, 0.8)} height=${height} />`;
    })}
  </g>`;
}

/**
 * What the archive does not have: time before its first and behind its last event, and hours that an
 * account and region lack.
 * @param {{x: (ms: number) => number, start: number, end: number, zone: string, gaps: Gap[]}} props
 */
function Uncovered({ x, start, end, zone, gaps }) {
  const { first, last } = extent();
  const [begun, ended] = [Date.parse(first ?? ""), Date.parse(last ?? "") + 1e3];
  /** @type {[number, number, string][]} */
  const spans = [];
  if (begun > start) spans.push([start, Math.min(begun, end), "before the archive's first event"]);
  if (ended < end) spans.push([Math.max(ended, start), end, "after the archive's last event"]);
  for (const gap of gaps) {
    const [from, to] = [Math.max(Date.parse(gap.start), start), Math.min(Date.parse(gap.end), end)];
    if (to > from) spans.push([from, to, `no event of ${visible(gap.account)} ${visible(gap.region)} from ${shown(gap.start, zone)} to ${shown(gap.end, zone)}`]);
  }
  return spans.map(([from, to, why]) => html`<rect class="gap" x=${x(from)} width=${x(to) - x(from)} y="0" height=${HEIGHT}><title>Not covered: ${why}</title></rect>`);
}
