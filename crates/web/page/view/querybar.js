// The query's text: its errors are underlined at their byte, and what would work is one click away.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { errorSpan } from "../core/query.js";
import { answer } from "../core/searches.js";
import { go, place } from "../core/state.js";
import { Completion, useCompletion } from "./completion.js";
import { Text } from "./parts.js";

export const QUERY_ID = "query";

export function QueryBar() {
  const [text, setText] = useState(place.value.query);
  const input = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const mirror = useRef(/** @type {HTMLDivElement | null} */ (null));
  // A click or the back button has changed the query.
  useEffect(() => setText(place.value.query), [place.value.query]);
  useEffect(() => grow(input.current), [text]);
  const completion = useCompletion(input, text, setText);
  const run = () => {
    completion.close();
    go({ query: text.trim(), event: "" });
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (completion.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      run();
    } else if (event.key === "Escape") {
      input.current?.blur();
    }
  };
  const { error, query } = answer.value;
  const span = error?.offset !== undefined && query === text.trim() ? errorSpan(query, error.offset) : null;
  return html`<form class="querybar" role="search" onSubmit=${(/** @type {Event} */ event) => {
    event.preventDefault();
    run();
  }}>
    <div class="query">
      <div class="mirror" aria-hidden="true" ref=${mirror}>${span && html`${text.slice(0, span[0])}<mark>${text.slice(...span) || " "}</mark>${text.slice(span[1])}`}</div>
      <textarea
        id=${QUERY_ID} ref=${input} rows="1" spellcheck=${false} autocomplete="off" autocapitalize="off"
        aria-label="Query" aria-invalid=${error !== null} aria-describedby="query-error"
        aria-autocomplete="list" aria-controls="completion"
        aria-activedescendant=${completion.active}
        placeholder="Everything – a field:value, a key, an address, a word"
        value=${text} onKeyDown=${key} onBlur=${completion.close}
        onInput=${(/** @type {any} */ event) => {
          setText(event.currentTarget.value);
          completion.typed();
        }}
        onScroll=${() => {
          if (mirror.current && input.current) mirror.current.scrollTop = input.current.scrollTop;
        }}
      ></textarea>
      <${Completion} completion=${completion} />
    </div>
    <button class="main">Search</button>
  </form>`;
}

/**
 * As many lines as the text has, up to eight.
 * @param {HTMLTextAreaElement | null} area
 */
function grow(area) {
  if (!area) return;
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight + 2, 180)}px`;
}

/** What is wrong with the query, below the bar. */
export function QueryError() {
  const { error, query } = answer.value;
  if (!error) return html`<div id="query-error"></div>`;
  const { offset, suggestion, message } = error;
  const canFix = suggestion !== undefined && offset !== undefined && error.kind === "unknown-field";
  const fix = () => {
    const [from, to] = errorSpan(query, /** @type {number} */ (offset));
    go({ query: query.slice(0, from) + suggestion + query.slice(to) });
  };
  return html`<div id="query-error" class="error" role="alert">
    <${Text} text=${message} />
    ${canFix && html`<button onClick=${fix}>Use <${Text} text=${suggestion} max=${80} /></button>`}
    ${!canFix && suggestion !== undefined && html`<span class="hint">Instead: <code><${Text} text=${suggestion} max=${300} /></code></span>`}
  </div>`;
}
