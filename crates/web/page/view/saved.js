// Searches that are kept by the daemon, under a name.

import { html, useState } from "../vendor/preact.js";
import { ask } from "../core/api.js";
import { newest } from "../core/newest.js";
import { parametersOf } from "../core/query.js";
import { leadsTo, replacement } from "../core/saved.js";
import { go, isLocked, place, told } from "../core/state.js";
import { Text } from "./parts.js";

/** The list, which is asked for again after each change. */
const ofList = newest();

/** @typedef {Record<string, import("../core/saved.js").SavedSearch>} List */

export function Saved() {
  const [saved, setSaved] = useState(/** @type {List | null} */ (null));
  const [error, setError] = useState("");
  /** @returns {Promise<List | undefined>} */
  const load = async () => {
    const signal = ofList.next();
    try {
      const found = (await ask("/v1/saved", { signal })).saved;
      if (signal.aborted) return undefined;
      setSaved(found);
      setError("");
      return found;
    } catch (failure) {
      if (!signal.aborted) setError(told(failure));
      return undefined;
    }
  };
  if (isLocked.value) return null;
  return html`<details class="menu" name="menu" onToggle=${(/** @type {any} */ event) => event.currentTarget.open && void load()}>
    <summary>Saved</summary>
    <div class="box saved">
      ${error && html`<p class="error" role="alert"><${Text} text=${error} /></p>`}
      <${Save} load=${load} setError=${setError} />
      ${saved && Object.keys(saved).length === 0 && html`<p class="hint">No search is saved yet.</p>`}
      <ul>${Object.entries(saved ?? {}).map(([name, search]) => html`<${Entry} key=${`${name} ${search.query}`} name=${name} search=${search} load=${load} setError=${setError} />`)}</ul>
    </div>
  </details>`;
}

/** @param {{load: () => Promise<List | undefined>, setError: (text: string) => void}} props */
function Save({ load, setError }) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [replaced, setReplaced] = useState(/** @type {import("../core/saved.js").SavedSearch | null} */ (null));
  const { query } = place.value;
  /** @param {import("../core/saved.js").SavedSearch} [before] that is to be replaced */
  const put = async (before) => {
    try {
      await ask(`/v1/saved/${encodeURIComponent(name)}`, { method: "PUT", body: replacement(before, query, description) });
      setName("");
      setDescription("");
      setReplaced(null);
      await load();
    } catch (failure) {
      setError(told(failure));
    }
  };
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    const list = await load();
    if (list === undefined) return;
    if (Object.hasOwn(list, name)) setReplaced(list[name]);
    else await put();
  };
  return html`<form class="save" onSubmit=${save}>
    <p class="hint">Save this query: <code>${query === "" ? "*" : html`<${Text} text=${query} max=${200} />`}</code></p>
    <input required placeholder="name" aria-label="Name" value=${name} onInput=${(/** @type {any} */ event) => {
      setName(event.currentTarget.value);
      setReplaced(null);
    }} />
    <input placeholder="what it is for" aria-label="What it is for" value=${description} onInput=${(/** @type {any} */ event) => setDescription(event.currentTarget.value)} />
    <button disabled=${query === ""}>Save</button>
    ${replaced && html`<p class="warning" role="alert">There is a search of this name: <code><${Text} text=${replaced.query} max=${200} /></code>
      <button type="button" onClick=${() => void put(replaced)}>Replace it</button> <button type="button" onClick=${() => setReplaced(null)}>Keep it</button></p>`}
  </form>`;
}

/** @param {{name: string, search: import("../core/saved.js").SavedSearch, load: () => Promise<unknown>, setError: (text: string) => void}} props */
function Entry({ name, search, load, setError }) {
  const names = parametersOf(search.query);
  const defaults = Object.fromEntries(names.map((key) => [key, search.parameters?.[key]?.default ?? ""]));
  const [values, setValues] = useState(defaults);
  const [isAsking, setIsAsking] = useState(false);
  const times = [search.start && `from ${search.start}`, search.end && `to ${search.end}`, search.time_zone && `in ${search.time_zone}`].filter(Boolean).join(" ");
  /** @param {Event} event */
  const run = (event) => {
    event.preventDefault();
    try {
      go(leadsTo(search, values));
      /** @type {HTMLElement} */ (event.currentTarget).closest("details")?.removeAttribute("open");
    } catch (failure) {
      setError(told(failure));
    }
  };
  const remove = async () => {
    try {
      await ask(`/v1/saved/${encodeURIComponent(name)}`, { method: "DELETE" });
      await load();
    } catch (failure) {
      setError(told(failure));
    }
  };
  return html`<li><form onSubmit=${run}>
    <div class="line"><strong><${Text} text=${name} max=${100} /></strong>
      ${search.description && html`<span class="hint"><${Text} text=${search.description} max=${300} /></span>`}
      <span class="grow"></span><button>Run</button>
      ${isAsking
        ? html`<button type="button" aria-label=${`Really delete ${name}`} onClick=${() => void remove()} onBlur=${() => setIsAsking(false)}>Delete it</button>`
        : html`<button type="button" class="mini" title="Delete" aria-label=${`Delete ${name}`} onClick=${() => setIsAsking(true)}>×</button>`}</div>
    <code><${Text} text=${search.query} max=${400} /></code>
    ${times && html`<p class="hint"><${Text} text=${times} max=${200} /></p>`}
    ${names.map((key) => html`<label key=${key}>${key} <input required value=${values[key] ?? ""}
      title=${search.parameters?.[key]?.description ?? ""} onInput=${(/** @type {any} */ event) => setValues({ ...values, [key]: event.currentTarget.value })} /></label>`)}
  </form></li>`;
}
