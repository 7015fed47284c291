// What rules found: the latest first, or by principal; over time; and what is done with several at once. The
// list stands still while somebody reads it, and says that there is something new.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { chosen, hasNews, isHeld, isScrolled, listing, picture, release } from "../core/alerting.js";
import { LEVELS, PAGE, STATES, WITHDRAWN, briefOf, groupsOf, rulesOf, timelineOf } from "../core/alerts.js";
import { widthName } from "../core/bars.js";
import { extent, go, place } from "../core/state.js";
import { counted, thousands } from "../core/text.js";
import { shown } from "../core/time.js";
import { Notes } from "./notes.js";
import { Pivot, Text, title } from "./parts.js";
import { Chart, Legend, Widen } from "./timeline.js";
import { Doings, Level, alerts, openAlert } from "./triage.js";

/** Principals that are listed, and lines of what is wrong with rules. */
const GROUPS_MAX = 300;
const TOLD_MAX = 5;

/** Pixels from its top at which the list is scrolled. */
const SCROLLED = 40;

/** @typedef {import("../core/alerts.js").Brief} Brief */

/**
 * Opens the next alert of the list, or the one before.
 * @param {number} step
 */
export function stepAlert(step) {
  const ids = [...document.querySelectorAll("tr[data-alert]")].map((row) => /** @type {HTMLElement} */ (row).dataset.alert ?? "");
  if (ids.length === 0) return;
  const at = ids.indexOf(place.value.alerts.id) + step;
  openAlert(ids[Math.min(Math.max(at, 0), ids.length - 1)]);
}

export function Alerts() {
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => () => void (isScrolled.value = false), []);
  const { found, error } = listing.value;
  const { by, rule, words } = place.value.alerts;
  const show = () => {
    main.current?.scrollTo(0, 0);
    chosen.value = new Set();
    release();
  };
  return html`<main class="alerts" ref=${main} onScroll=${() => (isScrolled.value = (main.current?.scrollTop ?? 0) > SCROLLED)}>
    <h2 class="sr">Alerts</h2>
    <${Notes} />
    ${found && html`<${Rules} rules=${found.rules} />`}
    <${Filters} key=${JSON.stringify([words, rule])} />
    <${OverTime} />
    ${error && html`<p class="error" role="alert">Alerts cannot be listed: <${Text} text=${error} max=${600} /></p>`}
    <${Summary} />
    ${(chosen.value.size > 0 || hasNews.value) && html`<div class="tailing sticks">
      ${hasNews.value && isHeld() && html`<button class="main" onClick=${show}>There is something new: show it</button>`}
      ${chosen.value.size > 0 && html`<${Chosen} />`}</div>`}
    ${found && (by === "principal" ? html`<${Groups} />` : html`<${List} rows=${found.alerts.map(briefOf)} label="Alerts" /><${Pages} />`)}
  </main>`;
}

/** What the daemon says of its rules: what alerts may lack. @param {{rules: any}} props */
function Rules({ rules }) {
  const { rules: count, is_current: isCurrent, problems = [], failed = [], dropped = 0 } = rules;
  return html`<div class="notes rules" aria-live="polite">
    ${count === 0 && problems.length === 0 && html`<p class="note">This daemon has no rules, so nothing raises alerts. In its configuration, <code>pack = true</code> below <code>[rules]</code> asks the rules that come with traildex, and <code>dirs = ["/path"]</code> your own; a reload (SIGHUP, <code>systemctl reload traildex</code>) takes them up.</p>`}
    ${count === 0 && problems.length > 0 && html`<p class="warning">No rule is asked: none of the files can be read as one.</p>`}
    ${!isCurrent && html`<p class="warning">The rules have not looked at all events yet: alerts may be missing, and some may change.</p>`}
    ${dropped > 0 && html`<p class="warning">${counted(dropped, "alert")} ${dropped === 1 ? "was" : "were"} dropped, because there were too many.</p>`}
    <${Told} lines=${failed} name="could not be asked; what they find is missing here. They are asked again in a minute" />
    <${Told} lines=${problems} name="in files of rules. These are not asked" noun="problem" />
  </div>`;
}

/** @param {{lines: string[], name: string, noun?: string}} props */
function Told({ lines, name, noun = "rule" }) {
  if (lines.length === 0) return null;
  const left = lines.length - TOLD_MAX;
  return html`<div class="warning told"><p>${counted(lines.length, noun)} ${name}:</p>
    <ul class="list">${lines.slice(0, TOLD_MAX).map((text) => html`<li><${Text} text=${text} max=${400} /></li>`)}
      ${left > 0 && html`<li>and ${thousands(left)} more</li>`}</ul></div>`;
}

function Filters() {
  const { state, level, rule, words, by } = place.value.alerts;
  const [text, setText] = useState(words);
  const rules = rulesOf(picture.value?.briefs ?? []);
  /** @param {Event} event */
  const apply = (event) => {
    event.preventDefault();
    go(alerts({ words: text.trim() }));
  };
  /** @param {"state" | "level" | "rule" | "by"} key */
  const set = (key) => (/** @type {any} */ event) => go(alerts({ [key]: event.currentTarget.value }));
  const option = (/** @type {string} */ value, /** @type {string} */ chosen, name = value) => html`<option value=${value} selected=${value === chosen}>${name}</option>`;
  return html`<form class="steps filters" aria-label="Filters" onSubmit=${apply}>
    <label>State <select aria-label="State" value=${state} onChange=${set("state")}>${option("", state, "any that stand")}${[...STATES, WITHDRAWN].map((name) => option(name, state))}</select></label>
    <label>Level <select aria-label="Level" value=${level} onChange=${set("level")}>${option("", level, "any")}${LEVELS.slice(0, -1).map((name, at) => option(name, level, at === 0 ? name : `${name} and above`))}</select></label>
    <label>Rule <select aria-label="Rule" value=${rule} onChange=${set("rule")}>${option("", rule, "any")}
      ${rule !== "" && !rules.some(([key]) => key === rule) && option(rule, rule, title(rule))}
      ${rules.map(([key, name, count]) => option(key, rule, `${title(name)} (${thousands(count)})`))}</select></label>
    <label>Words <input value=${text} size="24" onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label>
    <button>Find</button>
    <label>List <select aria-label="List" value=${by} onChange=${set("by")}>${option("", by, "the latest first")}${option("principal", by, "by principal")}</select></label>
    ${(state || level || rule || words) && html`<${Pivot} to=${alerts({ state: "", level: "", rule: "", words: "" })}>all alerts<//>`}
  </form>`;
}

/** @param {string} level */
function colour(level) {
  return `c-${level}`;
}

/** Alerts by level over time; drag over it to narrow the time. */
function OverTime() {
  const { zone } = place.value;
  const now = picture.value;
  const { first, last } = extent();
  const found = useMemo(() => (now ? timelineOf(now.briefs, now.range, { first, last }, zone, now.at) : null), [now, zone, first, last]);
  const count = now?.briefs.length ?? 0;
  return html`<section class=${`timeline ${now?.isBusy ? "busy" : ""}`} aria-label="Alerts over time">
    <div class="head">
      ${found && html`<${Legend} values=${found.values} colour=${colour} />`}
      <span class="grow"></span>
      ${now?.error && html`<span class="hint">Not all alerts could be taken: <${Text} text=${now.error} max=${300} /></span>`}
      ${now && count < now.total && html`<span class="hint">of the latest ${thousands(count)} of ${counted(now.total, "alert")}</span>`}
      ${found && html`<span class="hint">each at its last event; a bar is ${widthName(found.width)}</span>`}
      <${Widen} found=${found} />
    </div>
    ${found ? html`<${Chart} found=${found} zone=${zone} label=${counted(count, "alert")} colour=${colour} gaps=${[]} />` : html`<div class="chart empty"></div>`}
  </section>`;
}

/** How many there are, by level and by state, as the daemon counts them. */
function Summary() {
  const { found, elsewhere, isBusy } = listing.value;
  if (!found) return html`<p class="summary" role="status">${isBusy ? "Asking the daemon…" : ""}</p>`;
  const { total, levels, states, alerts: rows } = found;
  const { offset, by, state } = place.value.alerts;
  return html`<p class=${`summary counts ${isBusy ? "busy" : ""}`} role="status">
    <strong>${counted(total, "alert")}</strong>${state === WITHDRAWN && " that proved to be wrong"}
    ${total === 0 && elsewhere > 0 && html` in this time; there ${elsewhere === 1 ? "is" : "are"} ${counted(elsewhere, "alert")} in all time: <button onClick=${() => go({ range: "all" })}>Show all time</button>`}
    ${by === "" && rows.length > 0 && rows.length < total && ` – ${thousands(offset + 1)} to ${thousands(offset + rows.length)} are below`}
    ${levels.map((/** @type {any} */ { value, alerts: count }) => html` <span class="count"><${Level} level=${value} /> ${thousands(count)}</span>`)}
    ${state !== WITHDRAWN && states.map((/** @type {any} */ { value, alerts: count }) => html` <span class="count"><${Pivot} to=${alerts({ state: value })}>${value}<//> ${thousands(count)}</span>`)}
  </p>`;
}

/** What is done with the chosen ones. */
function Chosen() {
  const ids = [...chosen.value];
  return html`<strong role="status">${counted(ids.length, "alert")} chosen</strong>
    <${Doings} ids=${ids} note="" isOfSeveral=${true} />
    <button class="mini" onClick=${() => (chosen.value = new Set())}>choose none</button>`;
}

/**
 * Chooses alerts, or no longer.
 * @param {string[]} ids
 * @param {boolean} isChosen
 */
function choose(ids, isChosen) {
  const next = new Set(chosen.value);
  for (const id of ids) {
    if (isChosen) next.add(id);
    else next.delete(id);
  }
  chosen.value = next;
}

/** @param {{ids: string[], label: string}} props */
function Choice({ ids, label }) {
  const count = ids.filter((id) => chosen.value.has(id)).length;
  return html`<input type="checkbox" aria-label=${label} checked=${ids.length > 0 && count === ids.length} indeterminate=${count > 0 && count < ids.length}
    onClick=${(/** @type {Event} */ event) => event.stopPropagation()}
    onChange=${(/** @type {any} */ event) => choose(ids, event.currentTarget.checked)} />`;
}

/** @param {{rows: Brief[], label: string, isOfGroup?: boolean}} props */
function List({ rows, label, isOfGroup = false }) {
  if (rows.length === 0) return null;
  const { zone, alerts: { id } } = place.value;
  return html`<table class="rows found" aria-label=${label}>
    <thead><tr><th scope="col"><${Choice} ids=${rows.map((row) => row.id)} label=${`Choose all: ${label}`} /></th>
      ${["level", "state", `last event (${zone})`, "events", "rule", ...(isOfGroup ? [] : ["of"])].map((name) => html`<th scope="col" class=${name === "events" ? "number" : ""}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<${Row} key=${row.id} row=${row} zone=${zone} isOpen=${row.id === id} isOfGroup=${isOfGroup} />`)}</tbody>
  </table>`;
}

/** @param {{row: Brief, zone: string, isOpen: boolean, isOfGroup: boolean}} props */
function Row({ row, zone, isOpen, isOfGroup }) {
  const { id, level, state, last, events, title: name, who, hasNote } = row;
  const self = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (isOpen) self.current?.scrollIntoView({ block: "nearest" });
  }, [isOpen]);
  const follow = () => {
    // Text was selected, not a row.
    if ((getSelection()?.toString() ?? "") === "") openAlert(id);
  };
  return html`<tr ref=${self} data-alert=${id} class=${`${isOpen ? "chosen" : ""} ${state}`} aria-current=${isOpen ? "true" : undefined} onClick=${follow}>
    <td><${Choice} ids=${[id]} label=${`Choose ${title(name)}, ${title(who)}`} /></td>
    <td><${Level} level=${level} /></td>
    <td>${state}${hasNote && html` <span class="hint" title="It has a note">✎<span class="sr"> with a note</span></span>`}</td>
    <td class="time">${shown(last, zone)}</td>
    <td class="number">${thousands(events)}</td>
    <td><button class="plain lead" onClick=${(/** @type {Event} */ event) => {
      event.stopPropagation();
      openAlert(id);
    }}><${Text} text=${name} max=${200} /></button></td>
    ${!isOfGroup && html`<td title=${title(who)}><${Who} who=${who} /></td>`}
  </tr>`;
}

/** @param {{who: string}} props */
function Who({ who }) {
  return who === "" ? html`<span class="hint">(nobody and nothing in common)</span>` : html`<${Text} text=${who} max=${200} />`;
}

/** The ways to other pages of the list. */
function Pages() {
  const { total = 0, alerts: rows = [] } = listing.value.found ?? {};
  const { offset } = place.value.alerts;
  if (offset === 0 && rows.length >= total) return null;
  return html`<p class="steps">
    ${offset > 0 && html`<${Pivot} to=${alerts({ offset: Math.max(0, offset - PAGE) })}>← later<//>`}
    ${rows.length === 0 && total > 0 && html`<span>The list is shorter by now.</span>`}
    ${offset + rows.length < total && rows.length > 0 && html`<${Pivot} to=${alerts({ offset: offset + PAGE })}>earlier →<//>`}
  </p>`;
}

/** Alerts by principal. */
function Groups() {
  const now = picture.value;
  const groups = useMemo(() => groupsOf(now?.briefs ?? []), [now]);
  if (!now) return html`<p class="hint">Asking the daemon…</p>`;
  return html`<section class=${`groups ${now.isBusy ? "busy" : ""}`} aria-label="By principal">
    <p class="hint">${counted(groups.length, "principal")}: those with the worst that is open first.
      ${now.briefs.length < now.total && ` Of the latest ${thousands(now.briefs.length)} of ${counted(now.total, "alert")}.`}
      ${groups.length > GROUPS_MAX && ` The first ${thousands(GROUPS_MAX)} are below: narrow the time, or choose a level.`}</p>
    ${groups.slice(0, GROUPS_MAX).map((group) => html`<${Group} key=${`${group.isPrincipal} ${group.who}`} group=${group} />`)}
  </section>`;
}

/** @param {{group: import("../core/alerts.js").Group}} props */
function Group({ group }) {
  const { who, isPrincipal, alerts: rows, levels, open: count } = group;
  const { id } = place.value.alerts;
  // A link to an alert shows where it stands.
  const [isOpen, setIsOpen] = useState(rows.some((row) => row.id === id));
  return html`<div class="group"><${Choice} ids=${rows.map((row) => row.id)} label=${`Choose all of ${title(who)}`} />
    <details open=${isOpen} onToggle=${(/** @type {any} */ event) => setIsOpen(event.currentTarget.open)}>
      <summary><strong title=${title(who)}><${Who} who=${who} /></strong>${!isPrincipal && who !== "" && html` <span class="hint">(no principal)</span>`}
        ${levels.map(([level, count]) => html` <span class="count"><${Level} level=${level} /> ${thousands(count)}</span>`)}
        <span class="hint"> ${counted(rows.length, "alert")}, ${thousands(count)} open; last ${shown(rows[0].last, place.value.zone)}</span></summary>
      ${isOpen && html`<${List} rows=${rows} label=${title(who)} isOfGroup=${true} />`}
    </details></div>`;
}
