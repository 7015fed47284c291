// Without the token of the port: which command prints it. The link stays as it is.

import { html } from "../vendor/preact.js";

export function Locked() {
  const port = location.port && location.port !== "8457" ? ` --port ${location.port}` : "";
  return html`<main class="locked">
    <h1>traildex</h1>
    <p>This page needs the key of the program that opened its port. On the machine with the archive, run</p>
    <pre>traildex web${port}</pre>
    <p>and open the address that it prints, in this browser. This tab then goes on by itself, and shows what its link says.</p>
    <p class="hint">The key is new each time that the command is run. It is in the part of the address that a browser sends to nobody.
    ${!/^127\.0\.0\.1$/.test(location.hostname) && " The address begins with http://127.0.0.1, which is another page to a browser than this one."}</p>
  </main>`;
}
