// A query's table as a picture: bars or lines over time, or a bar for each row. A click on one goes to its
// events; so do the cells of the table below.

import { html } from "../vendor/preact.js";
import { widthName } from "../core/bars.js";
import { LINES_MAX, canDraw, canStack, leadsTo, linesOf, strokesOf } from "../core/chart.js";
import { labels } from "../core/json.js";
import { askedRange } from "../core/searches.js";
import { go, place, shift } from "../core/state.js";
import { counted, thousands, visible } from "../core/text.js";
import { moment, shown, ticks } from "../core/time.js";
import { Pivot, Text, title } from "./parts.js";
import { colour } from "./timeline.js";

/** Rows that have a bar. */
const BARS_MAX = 20;

const WIDTH = 1_000;
const HEIGHT = 150;

/** @typedef {import("../core/chart.js").Chart} Drawn */
/** @typedef {{columns: string[], rows: any[][], rows_total: number}} Rows */

/** @param {{chart: Drawn, table: Rows}} props */
export function Chart({ chart, table }) {
  const { columns, rows } = table;
  if (!canDraw(chart, rows)) return null;
  const { chart: wanted, measure } = place.value;
  const number = chart.numbers.find((index) => columns[index] === measure) ?? chart.numbers[0];
  const isTimed = chart.time >= 0;
  const kind = wanted === "none" ? "none" : !isTimed ? "bars" : wanted || (canStack(columns[number]) ? "bars" : "lines");
  const kinds = isTimed ? ["bars", "lines", "none"] : ["bars", "none"];
  return html`<section class="drawn" aria-label="Chart">
    <div class="head">
      <label>Chart <select aria-label="Chart" value=${kind} onChange=${(/** @type {any} */ event) => shift({ chart: event.currentTarget.value })}>
        ${kinds.map((name) => html`<option value=${name} selected=${name === kind}>${name}</option>`)}</select></label>
      ${chart.numbers.length > 1 && kind !== "none" && html`<label>of <select aria-label="Drawn column" value=${columns[number]} onChange=${(/** @type {any} */ event) => shift({ measure: event.currentTarget.value })}>
        ${chart.numbers.map((index) => html`<option value=${columns[index]} selected=${index === number}>${title(columns[index])}</option>`)}</select></label>`}
      ${isTimed && kind !== "none" && html`<span class="hint">a bar is ${widthName(chart.width)}</span>`}
      ${rows.length < table.rows_total && kind !== "none" && html`<span class="hint">of the ${thousands(rows.length)} rows that are shown</span>`}
    </div>
    ${kind === "none" ? null : isTimed
      ? html`<${OverTime} chart=${chart} rows=${rows} number=${number} name=${columns[number]} isStacked=${kind === "bars"} />`
      : html`<${Bars} chart=${chart} rows=${rows} number=${number} />`}
  </section>`;
}

/** A bar for each row, as long as its number. @param {{chart: Drawn, rows: any[][], number: number}} props */
function Bars({ chart, rows, number }) {
  const first = rows.slice(0, BARS_MAX);
  const names = chart.keys.map((index) => labels(rows.map((row) => row[index])));
  const value = (/** @type {any[]} */ row) => Number(row[number] ?? 0);
  const most = Math.max(0, ...first.map(value).filter(Number.isFinite));
  return html`<ol class="bars">${first.map((row) => {
      const to = leadsTo(chart, row, place.value.zone, undefined);
      const text = chart.keys.map((index, at) => shown(names[at](row[index]), place.value.zone)).join(" · ");
      const label = html`<${Text} text=${text} max=${120} />`;
      const share = most > 0 && value(row) > 0 ? Math.min(100, (100 * value(row)) / most) : 0;
      return html`<li><span class="label" title=${title(text)}>${to ? html`<${Pivot} to=${to}>${label}<//>` : label}</span>
        <span class=${`place ${to ? "leads" : ""}`} onClick=${() => to && go(to)}><i style=${{ width: `${share}%` }}></i></span>
        <span class="value">${row[number] === null ? "" : thousands(row[number])}</span></li>`;
    })}</ol>
    ${rows.length > first.length && html`<p class="hint">The first ${thousands(first.length)} of ${counted(rows.length, "row")} are drawn, in the table's order.</p>`}`;
}

/** @param {{chart: Drawn, rows: any[][], number: number, name: string, isStacked: boolean}} props */
function OverTime({ chart, rows, number, name, isStacked }) {
  const { zone } = place.value;
  const { slots, lines } = linesOf(chart, rows, number, zone);
  const [start, end] = [slots[0][0], slots[slots.length - 1][1]];
  const x = (/** @type {number} */ ms) => (WIDTH * (ms - start)) / (end - start);
  const own = lines.slice(0, LINES_MAX);
  const others = lines.slice(LINES_MAX);
  const values = own.map(({ label }) => label);
  const asked = askedRange(place.value.range);
  /** Goes to the events of a bar, of one line or of all. */
  const follow = (/** @type {number} */ at, /** @type {import("../core/chart.js").Line | undefined} */ line) => {
    const row = [...(line ?? lines[0]).row];
    row[chart.time] = moment(at);
    const to = leadsTo(chart, row, zone, asked, line ? chart.keys : []);
    if (to) go(to);
  };
  const drawn = { slots, lines: own, others, values, x, follow, zone, name };
  const top = isStacked ? Math.max(0, ...slots.map(([at]) => sumAt(lines, at))) : Math.max(0, ...own.flatMap(({ points }) => [...points.values()]));
  return html`
    ${chart.keys.length > 0 && html`<ul class="legend">${own.map((line) => {
      const to = leadsTo({ ...chart, time: -1 }, line.row, zone, undefined);
      const label = html`<${Text} text=${line.label} max=${80} />`;
      return html`<li key=${line.label}><i class=${colour(line.label, values)}></i><span title=${title(line.label)}>${to ? html`<${Pivot} to=${to}>${label}<//>` : label}</span></li>`;
    })}
      ${others.length > 0 && html`<li>${isStacked ? html`<i class="c-other"></i>${counted(others.length, "other")}` : html`<span class="hint">${counted(others.length, "other")}, not drawn</span>`}</li>`}</ul>`}
    <div class="chart" role="img" aria-label=${`${visible(name)} from ${shown(moment(start), zone)} to ${shown(moment(end), zone)}, at most ${thousands(top)} in a bar; the table has the numbers`}>
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" height=${HEIGHT}>
        ${isStacked ? html`<${Stacks} ...${drawn} top=${top} />` : html`<${Lines} ...${drawn} top=${top} isCount=${canStack(name)} />`}
      </svg>
      <span class="most" aria-hidden="true">${thousands(top)}</span>
      <div class="axis" aria-hidden="true">${ticks(start, end, zone).map(({ at, text }) => html`<span style=${{ left: `${x(at) / 10}%` }}>${text}</span>`)}</div>
    </div>`;
}

/**
 * @param {import("../core/chart.js").Line[]} lines
 * @param {number} at
 */
function sumAt(lines, at) {
  return lines.reduce((sum, { points }) => sum + Math.max(0, points.get(at) ?? 0), 0);
}

/**
 * @typedef {object} Parts
 * @property {[number, number][]} slots
 * @property {import("../core/chart.js").Line[]} lines
 * @property {import("../core/chart.js").Line[]} others
 * @property {string[]} values
 * @property {(ms: number) => number} x
 * @property {(at: number, line?: import("../core/chart.js").Line) => void} follow
 * @property {string} zone
 * @property {string} name
 * @property {number} top
 */

/**
 * What a bar is, in words.
 * @param {Parts} parts
 * @param {number} at
 */
function wordsOf({ lines, others, zone, name }, at) {
  const there = [...lines, ...others].filter(({ points }) => points.has(at)).sort((a, b) => (b.points.get(at) ?? 0) - (a.points.get(at) ?? 0));
  const said = there.slice(0, 12).map(({ label, points }) => `${visible((label || name).slice(0, 60))}: ${thousands(points.get(at) ?? 0)}`);
  return [shown(moment(at), zone), ...said, ...(there.length > said.length ? [`… and ${there.length - said.length} more`] : [])].join("\n");
}

/** Bars whose lines stand on each other. @param {Parts} parts */
function Stacks(parts) {
  const { slots, lines, others, values, x, follow, top } = parts;
  return slots.map(([at, end]) => {
    const [left, width] = [x(at), x(end) - x(at)];
    const gap = Math.min(1, width / 5);
    let y = HEIGHT;
    const rect = (/** @type {string} */ kind, /** @type {number} */ value, /** @type {import("../core/chart.js").Line | undefined} */ line) => {
      if (!(value > 0) || top <= 0) return null;
      // What is there is seen, however little.
      const height = Math.max(1.5, (value / top) * (HEIGHT - 6));
      y -= height;
      return html`<rect class=${kind} x=${left + gap / 2} y=${Math.max(y, 0)} width=${Math.max(width - gap, 0.8)} height=${height} onClick=${(/** @type {Event} */ event) => {
        event.stopPropagation();
        follow(at, line);
      }} />`;
    };
    return html`<g key=${at} onClick=${() => follow(at)}><title>${wordsOf(parts, at)}</title><rect class="hit" x=${left} y="0" width=${width} height=${HEIGHT} />
      ${lines.map((line) => rect(colour(line.label, values), line.points.get(at) ?? 0, line))}${rect("c-other", sumAt(others, at), undefined)}</g>`;
  });
}

/** A line for each. @param {Parts & {isCount: boolean}} parts */
function Lines({ isCount, ...parts }) {
  const { slots, lines, values, x, follow, top } = parts;
  const beside = (slots[0][1] - slots[0][0]) / 3;
  const least = Math.min(0, ...lines.flatMap(({ points }) => [...points.values()]));
  const y = (/** @type {number} */ value) => HEIGHT - 3 - ((value - least) / (top - least || 1)) * (HEIGHT - 9);
  return html`
    ${slots.map(([at, end]) => html`<g key=${at} onClick=${() => follow(at)}><title>${wordsOf(parts, at)}</title><rect class="hit" x=${x(at)} y="0" width=${x(end) - x(at)} height=${HEIGHT} /></g>`)}
    ${lines.map((line) => strokesOf(line, slots, isCount).map((stroke) => {
      // A point alone is a short line.
      const points = stroke.length > 1 ? stroke : [-beside, beside].map((by) => [stroke[0][0] + by, stroke[0][1]]);
      return html`<polyline class=${`line ${colour(line.label, values)}`} points=${points.map(([at, value]) => `${x(at).toFixed(2)},${y(value).toFixed(2)}`).join(" ")} vector-effect="non-scaling-stroke" />`;
    }))}`;
}
