// New events as they come. The list stands still while somebody reads, and says how many wait.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { KEPT_MAX, dropped } from "../core/arrivals.js";
import { place } from "../core/state.js";
import { arrivals, isHeld, isScrolled, release, tailing } from "../core/tail.js";
import { counted, thousands } from "../core/text.js";
import { moment, shown } from "../core/time.js";
import { Events } from "./events.js";
import { Notes } from "./notes.js";
import { Text } from "./parts.js";

/** Pixels from its top at which the list is scrolled. */
const SCROLLED = 40;

/** @param {number} ms */
function clock(ms) {
  const { zone } = place.value;
  return `${shown(moment(Math.floor(ms / 1e3) * 1e3), zone)} (${zone})`;
}

export function Tail() {
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => () => void (isScrolled.value = false), []);
  const { state, error, since, warnings, misses, missesLeft } = tailing.value;
  const { shown: list, waiting, came, lost } = arrivals.value;
  const gone = dropped(arrivals.value);
  const show = () => {
    release();
    main.current?.scrollTo(0, 0);
  };
  return html`<main class="following" ref=${main} onScroll=${() => (isScrolled.value = (main.current?.scrollTop ?? 0) > SCROLLED)}>
    <h2 class="sr">New events</h2>
    <${Notes} />
    ${state === "refused" && html`<p class="error" role="alert"><${Text} text=${error} max=${600} />${" "}A tail takes a query without stages (|).</p>`}
    ${warnings.map((text) => html`<p class="warning" key=${text}><${Text} text=${text} max=${1_200} /></p>`)}
    ${misses.map(([from, to]) => html`<p class="warning" role="alert">Events may be missing here that came between ${clock(from)} and ${clock(to)}: the index was made anew, or the stream had not begun. Search for them.</p>`)}
    ${missesLeft > 0 && html`<p class="warning">There were ${counted(missesLeft, "such time")} before.</p>`}
    <div class="tailing sticks" role="status">
      ${state === "on" && html`<strong>${isHeld() ? "Held while you read" : "Following"}</strong>`}
      ${state === "asking" && html`<strong>Asking the daemon…</strong>`}
      ${state === "broken" && html`<strong class="bad">Broken off</strong><span><${Text} text=${error} max=${300} />. It is asked again behind the last event.</span>`}
      ${waiting.length > 0 && html`<button class="main" onClick=${show}>${thousands(waiting.length + lost)} new</button>`}
      ${since > 0 && html`<span class="hint">${counted(came, "event")} came since ${clock(since)}</span>`}
    </div>
    ${gone > 0 && html`<p class="hint">${counted(gone, "event")} of these ${gone === 1 ? "is" : "are"} no longer here: the list keeps ${thousands(KEPT_MAX)}, or fewer large ones${lost > 0 ? ", and as many that wait" : ""}. A search finds them.</p>`}
    <p class="hint">Events as they come into the index, the latest that came first, whatever their own time: the range of time does not count here.</p>
    ${list.length > 0 && html`<${Events} />`}
  </main>`;
}
