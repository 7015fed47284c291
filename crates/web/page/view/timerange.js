// Which time is asked about, and in which zone times are shown.

import { html, useState } from "../vendor/preact.js";
import { askedRange } from "../core/searches.js";
import { extent, go, place } from "../core/state.js";
import { LOCAL, PRESETS, isZone, meant, named, resolve, shown } from "../core/time.js";

export function TimeRange() {
  const { range, zone } = place.value;
  return html`<details class="menu" name="menu">
    <summary aria-label=${`Time range: ${named(range, zone)}`}>${named(range, zone)}</summary>
    <div class="box range">
      <div class="presets">
        ${PRESETS.map(([value, name]) => html`<button class=${value === range ? "chosen" : ""} onClick=${(/** @type {Event} */ event) => {
          close(event);
          go({ range: value });
        }}>${name}</button>`)}
      </div>
      <${Absolute} key=${`${range} ${zone} ${extent().first === undefined}`} />
    </div>
  </details>`;
}

/** @param {Event} event */
function close(event) {
  /** @type {HTMLElement} */ (event.currentTarget).closest("details")?.removeAttribute("open");
}

function Absolute() {
  const { range, zone } = place.value;
  const { first, last } = extent();
  // As it was asked, which is a while ago.
  const { start, end } = resolve(askedRange(range) ?? range, { first, last }, Date.now());
  const [from, setFrom] = useState(shown(start ?? first ?? "", zone));
  const [to, setTo] = useState(shown(end ?? last ?? "", zone));
  const [error, setError] = useState("");
  /** @param {Event} event */
  const apply = (event) => {
    event.preventDefault();
    const [begin, until] = [meant(from, zone), meant(to, zone)];
    if (!begin || !until) setError("A time is written 2023-07-10 12:00 or 2023-07-10 12:00:30");
    else if (begin >= until) setError("The end is before the beginning");
    else {
      close(event);
      go({ range: `${begin}..${until}` });
    }
  };
  return html`<form class="absolute" onSubmit=${apply}>
    <label>From <input value=${from} size="21" onInput=${(/** @type {any} */ event) => setFrom(event.currentTarget.value)} /></label>
    <label>To <input value=${to} size="21" onInput=${(/** @type {any} */ event) => setTo(event.currentTarget.value)} /></label>
    <p class="hint">In ${zone}. The beginning is included, the end is not.</p>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    <button class="main">Show this time</button>
    ${first && html`<p class="hint">The archive has events from ${shown(first, zone)} to ${shown(last, zone)}.</p>`}
  </form>`;
}

export function Zone() {
  const { zone } = place.value;
  const offered = [...new Set(["UTC", LOCAL, zone])].filter(isZone);
  const all = Intl.supportedValuesOf("timeZone").filter((name) => !offered.includes(name));
  return html`<select class="zone" aria-label="Time zone" value=${zone} onChange=${(/** @type {any} */ event) => go({ zone: event.currentTarget.value })}>
    ${offered.map((name) => html`<option value=${name}>${name}</option>`)}
    <optgroup label="All zones">${all.map((name) => html`<option value=${name}>${name}</option>`)}</optgroup>
  </select>`;
}
