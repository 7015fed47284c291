// A record as a tree, with what can be done with each value.

import { html, useState } from "../vendor/preact.js";
import { COLUMNS_MAX } from "../core/columns.js";
import { read, textOf } from "../core/json.js";
import { fieldOf } from "../core/query.js";
import { place, shift } from "../core/state.js";
import { addFacet } from "./facets.js";
import { Actions, Text, title } from "./parts.js";

/** Members of an object or a list that are shown at once. */
const MEMBERS_MAX = 200;

/** Characters of a value that are shown at once. */
const VALUE_MAX = 1_000;

/** Levels that are open from the beginning; the record's own come closed below. */
const LEVELS_OPEN = 4;

/** @typedef {import("../core/json.js").Node} Node */

/** @param {{record: Node, document: string}} props */
export function Tree({ record, document }) {
  return html`<div class="tree"><${Members} node=${record} document=${document} path="" level=${0} canFilter=${true} /></div>`;
}

/** @param {{node: Node, document: string, path: string, level: number, canFilter: boolean}} props */
function Members({ node, document, path, level, canFilter }) {
  const [max, setMax] = useState(MEMBERS_MAX);
  /** @type {[string, Node, string][]} */
  const members =
    node.kind === "object" ? node.entries.map(([key, value]) => [key, value, path === "" ? key : `${path}.${key}`])
    : node.kind === "array" ? node.items.map((value, index) => [`${index}`, value, path])
    : [];
  return html`<ul>
    ${members.slice(0, max).map(([key, value, below], index) => html`<${Member} key=${index} name=${key} isIndex=${node.kind === "array"}
      node=${value} document=${document} path=${below} level=${level} canFilter=${canFilter} />`)}
    ${members.length > max && html`<li><button onClick=${() => setMax(max * 5)}>${(members.length - max).toLocaleString("en-US")} more</button></li>`}
  </ul>`;
}

/** @param {{name: string, isIndex: boolean, node: Node, document: string, path: string, level: number, canFilter: boolean}} props */
function Member({ name, isIndex, node, document, path, level, canFilter }) {
  const [isOpen, setIsOpen] = useState(level < LEVELS_OPEN);
  const label = html`<span class=${isIndex ? "index" : "key"}><${Text} text=${name} max=${200} /></span>`;
  if (node.kind === "object" || node.kind === "array") {
    const count = node.kind === "object" ? node.entries.length : node.items.length;
    return html`<li>
      <button class="toggle" aria-expanded=${isOpen} onClick=${() => setIsOpen(!isOpen)}><span class="arrow" aria-hidden="true">${isOpen ? "▾" : "▸"}</span>${label}
        <span class="hint">${node.kind === "object" ? `{${count}}` : `[${count}]`}</span></button>
      ${isOpen && html`<${Members} node=${node} document=${document} path=${path} level=${level + 1} canFilter=${canFilter} />`}
    </li>`;
  }
  const isNull = node.kind === "word" && node.text === "null";
  const inner = node.kind === "string" ? unfolded(node.text) : null;
  return html`<li class="leaf">
    ${label} <${Value} node=${node} />
    ${canFilter && !isNull && html`<span class="beside"><${Actions} field=${fieldOf(path)} value=${node.text} /><${Add} path=${path} /></span>`}
    ${inner && html`<details><summary>unfolded</summary><div class="tree">
      <${Members} node=${inner.node} document=${inner.text} path="" level=${level + 1} canFilter=${false} /></div></details>`}
  </li>`;
}

/** @param {{node: Node}} props */
function Value({ node }) {
  const [max, setMax] = useState(VALUE_MAX);
  const text = textOf(node, "");
  if (text === "") return html`<span class="value string"><em>empty text</em></span>`;
  return html`<span class=${`value ${node.kind}`}><${Text} text=${text} max=${max} />
    ${text.length > max && html`<button class="mini" onClick=${() => setMax(max * 20)}>show more</button>`}</span>`;
}

/** @param {{path: string}} props */
function Add({ path }) {
  const { columns } = place.value;
  const field = fieldOf(path);
  return html`<span class="actions">
    ${!columns.includes(field) && columns.length < COLUMNS_MAX && html`<button class="mini" title="Add as a column" aria-label=${`Add the column ${title(path)}`} onClick=${() => shift({ columns: [...columns, field] })}>column</button>`}
    <button class="mini" title="Count its values" aria-label=${`Count the values of ${title(path)}`} onClick=${() => addFacet(field)}>count</button>
  </span>`;
}

/** Characters of a text that may be JSON. */
const UNFOLDED_MAX = 200_000;

/**
 * JSON that a text holds, plain or URL-encoded, such as a policy.
 * @param {string} text
 * @returns {{node: Node, text: string} | null}
 */
function unfolded(text) {
  if (text.length > UNFOLDED_MAX || !/^\s*(\{|\[|%7B|%5B)/i.test(text)) return null;
  try {
    const plain = /^\s*%/.test(text) ? decodeURIComponent(text.replaceAll("+", " ")) : text;
    const node = read(plain);
    return node.kind === "object" || node.kind === "array" ? { node, text: plain } : null;
  } catch {
    return null;
  }
}
