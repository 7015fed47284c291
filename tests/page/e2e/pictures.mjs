// Takes the pictures of the README: the sample investigation, in two views. What each shows is checked
// first.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { open, run, search, settled } from "./browser.mjs";

/** Where the pictures go. */
const { folder } = JSON.parse(process.env.TRAILDEX_VALUES);

const SIZE = { width: 1280, height: 700 };

const KEY = "AKIATFQR7NSC8Q4X20BJ";

/** A picture is small enough for a clone, and large enough to be none of an empty page. */
const BYTES = [20_000, 250_000];

/** @param {any} page @param {string} name */
async function take(page, name) {
  const path = `${folder}/${name}.png`;
  await settled(page);
  await page.mouse.move(0, 0);
  await page.evaluate(() => /** @type {HTMLElement} */ (document.activeElement).blur());
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  const { size } = statSync(path);
  console.log(`${name}: ${size} bytes`);
  assert.ok(size > BYTES[0] && size < BYTES[1], `${name} has ${size} bytes`);
}

await run({
  "an event and what leads on from it": async (page) => {
    await page.setViewportSize(SIZE);
    await open(page, "t=all");
    await search(page, `key = ${KEY} eventName:(DeleteTrail OR StopLogging OR CreateUser OR CreateAccessKey)`);
    const row = page.locator(".events tr[data-id]", { hasText: "DeleteTrail" }).first();
    await row.click();
    await page.locator(".sentence", { hasText: "bert-jan called cloudtrail:DeleteTrail" }).waitFor();
    await page.locator(".facts", { hasText: "SHA-256" }).waitFor();
    await take(page, "event");
  },

  "a table as a chart": async (page) => {
    await page.setViewportSize(SIZE);
    await open(page, "t=all");
    await search(page, `key = ${KEY} | timeline 1m by service`);
    await page.locator(".drawn .chart g").first().waitFor();
    assert.match(await page.locator(".drawn .legend").innerText(), /ec2\.amazonaws\.com/);
    await take(page, "chart");
  },
});
