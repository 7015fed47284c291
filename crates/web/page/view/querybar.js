// The query's text: its errors are underlined at their byte, and what would work is one click away.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { queries, stepped } from "../core/history.js";
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
  const recall = useRecall(input, text, setText);
  const run = () => {
    completion.close();
    go({ query: text.trim(), event: "" });
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (completion.key(event) || recall(event)) return;
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
 * Leads through the queries before by ↑ and ↓. Only where these keys have no other use: without a selection,
 * ↑ where no line is above, ↓ on the way back and where no line is below. Tells whether the key was for it.
 * @param {{current: HTMLTextAreaElement | null}} input
 * @param {string} text
 * @param {(text: string) => void} setText
 */
function useRecall(input, text, setText) {
  const walk = useRef(/** @type {import("../core/history.js").Walk | null} */ (null));
  return (/** @type {KeyboardEvent} */ event) => {
    const area = input.current;
    const step = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
    if (!area || step === 0 || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
    const { selectionStart: from, selectionEnd: to } = area;
    const isWalking = walk.current?.text === text;
    const atStart = from === 0 || (from === text.length && hasOneLine(area));
    const atEnd = from === text.length || (from === 0 && isWalking && hasOneLine(area));
    if (from !== to || !(step === 1 ? atStart : atEnd && isWalking)) return false;
    const next = stepped(walk.current, text, queries.value, step);
    event.preventDefault();
    if (!next) return true;
    walk.current = next;
    setText(next.text);
    // Where the next key goes on, however many lines there are.
    requestAnimationFrame(() => {
      const caret = step === 1 && !hasOneLine(area) ? 0 : next.text.length;
      area.setSelectionRange(caret, caret);
    });
    return true;
  };
}

/** Whether a text has no second line, not by its width either. @param {HTMLTextAreaElement} area */
function hasOneLine(area) {
  return area.scrollHeight < 2 * parseFloat(getComputedStyle(area).lineHeight);
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
