// Chromium on the page, for the tests beside. What the page says on its console, or does against its
// policy, fails a test.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// From where the tests' packages are, wherever this file is.
const require = createRequire(process.env.TRAILDEX_CLIENTS + "/");
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const URL = process.env.TRAILDEX_URL;

/** Nothing but the page is asked for; a sandbox needs what a container may not have. */
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP evil.example 127.0.0.1",
];

/**
 * Runs tests, each on a page of its own in one browser; says which failed.
 * @param {Record<string, (page: any, tools: any) => Promise<void>>} tests
 */
export async function run(tests) {
  const browser = await chromium.launch({
    executablePath: process.env.TRAILDEX_CHROMIUM ?? "/usr/bin/chromium",
    args: FLAGS,
  });
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const started = Date.now();
    const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const said = [];
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
      });
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) said.push(message.text());
    });
    context.on("weberror", (error) => said.push(String(error.error())));
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    /** The browser itself reports an answer that is an error; a test says which it provokes. */
    const allowed = [];
    try {
      await test(page, { context, allowed, browser });
      const unexpected = said.filter((text) => !allowed.some((pattern) => pattern.test(text)));
      assert.deepEqual(unexpected, [], "the console");
      console.log(`ok ${name} ${Date.now() - started} ms`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}: ${error.stack}\nconsole: ${said.join("\n")}`);
      const folder = process.env.TRAILDEX_SHOTS;
      if (folder) await page.screenshot({ path: `${folder}/${name.replaceAll(" ", "-")}.png` }).catch(() => {});
    }
    await context.close();
  }
  await browser.close();
  // Standard input may be open still.
  process.exit(failed === 0 ? 0 : 1);
}

/** What axe-core finds against the page as it is. It is run beside the page's policy, not under it. */
export async function axe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const lines = found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html.slice(0, 160)} – ${node.failureSummary}`).join("\n  ")}`);
  assert.deepEqual(lines, []);
}

/** Opens the page by its whole address, with a view. */
export async function open(page, view = "") {
  await page.goto(view === "" ? URL : `${URL}&${view}`);
  await page.locator(".summary strong").waitFor();
}

/** Types a query and presses Enter. */
export async function search(page, query) {
  await page.locator("#query").fill(query);
  await page.locator("#query").press("Enter");
  await page.waitForFunction((wanted) => new URLSearchParams(location.hash.slice(1)).get("q") === (wanted || null), query);
  await settled(page);
}

/** Waits until nothing is being searched for. */
export async function settled(page) {
  await page.waitForFunction(() => !document.querySelector(".summary.busy, .timeline.busy, .facet.busy"));
}

/** Waits until so many events are found, as the page writes it. */
export async function found(page, text) {
  await page.locator(".summary strong", { hasText: new RegExp(`^${text}$`) }).waitFor();
}

/** @type {AsyncIterator<string> | undefined} */
let lines;

/** Has whoever runs the test do something, and waits until that is done. */
export async function ask(what) {
  console.log(`ask: ${what}`);
  lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value, done } = await lines.next();
  assert.ok(!done, "nobody answers");
  return value;
}
