// Searches that are kept by the daemon, under a name.

import { html, useEffect, useState } from "../vendor/preact.js";
import { ask } from "../core/api.js";
import { filled, parametersOf } from "../core/query.js";
import { go, isLocked, place, told } from "../core/state.js";
import { Text } from "./parts.js";

export function Saved() {
  const [saved, setSaved] = useState(/** @type {Record<string, any> | null} */ (null));
  const [error, setError] = useState("");
  const load = async () => {
    try {
      setSaved((await ask("/v1/saved")).saved);
      setError("");
    } catch (failure) {
      setError(told(failure));
    }
  };
  if (isLocked.value) return null;
  return html`<details class="menu" name="menu" onToggle=${(/** @type {any} */ event) => event.currentTarget.open && void load()}>
    <summary>Saved</summary>
    <div class="box saved">
      ${error && html`<p class="error" role="alert"><${Text} text=${error} /></p>`}
      <${Save} load=${load} setError=${setError} />
      ${saved && Object.keys(saved).length === 0 && html`<p class="hint">No search is saved yet.</p>`}
      <ul>${Object.entries(saved ?? {}).map(([name, search]) => html`<${Entry} key=${name} name=${name} search=${search} load=${load} setError=${setError} />`)}</ul>
    </div>
  </details>`;
}

/** @param {{load: () => Promise<void>, setError: (text: string) => void}} props */
function Save({ load, setError }) {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const { query } = place.value;
  /** @param {Event} event */
  const save = async (event) => {
    event.preventDefault();
    try {
      const body = { query, description: description || undefined };
      await ask(`/v1/saved/${encodeURIComponent(name)}`, { method: "PUT", body });
      setName("");
      setDescription("");
      await load();
    } catch (failure) {
      setError(told(failure));
    }
  };
  return html`<form class="save" onSubmit=${save}>
    <p class="hint">Save this query: <code>${query === "" ? "*" : html`<${Text} text=${query} max=${200} />`}</code></p>
    <input required placeholder="name" aria-label="Name" value=${name} onInput=${(/** @type {any} */ event) => setName(event.currentTarget.value)} />
    <input placeholder="what it is for" aria-label="What it is for" value=${description} onInput=${(/** @type {any} */ event) => setDescription(event.currentTarget.value)} />
    <button disabled=${query === ""}>Save</button>
  </form>`;
}

/** @param {{name: string, search: any, load: () => Promise<void>, setError: (text: string) => void}} props */
function Entry({ name, search, load, setError }) {
  const names = parametersOf(search.query);
  const defaults = Object.fromEntries(names.map((key) => [key, search.parameters?.[key]?.default ?? ""]));
  const [values, setValues] = useState(defaults);
  useEffect(() => setValues(defaults), [search.query]);
  /** @param {Event} event */
  const run = (event) => {
    event.preventDefault();
    /** @type {HTMLElement} */ (event.currentTarget).closest("details")?.removeAttribute("open");
    go({ query: filled(search.query, values), event: "", order: search.order ?? place.value.order });
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
      <button type="button" class="mini" title="Delete" aria-label=${`Delete ${name}`} onClick=${() => void remove()}>×</button></div>
    <code><${Text} text=${search.query} max=${400} /></code>
    ${names.map((key) => html`<label key=${key}>${key} <input required value=${values[key] ?? ""}
      title=${search.parameters?.[key]?.description ?? ""} onInput=${(/** @type {any} */ event) => setValues({ ...values, [key]: event.currentTarget.value })} /></label>`)}
  </form></li>`;
}
