// The archive's view: a gap is seen, said and followed to its files; names that strangers wrote stay text.

import assert from "node:assert/strict";
import { URL as PAGE, axe, found, open, run } from "./browser.mjs";

const view = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));
const cell = (page, name) => page.getByRole("button", { name, exact: false });

await run({
  "a gap leads to its hours, its files and its events": async (page) => {
    await open(page);
    await page.keyboard.press("a");
    await page.locator(".map tbody tr").first().waitFor();
    assert.equal(view(page).get("v"), "archive");
    assert.match(await page.locator(".covered").innerText(), /1 gap, 5 hours/);
    // By a text, and by a sign beside the colour, which the legend has.
    const gap = cell(page, "111122223333 us-east-1 2024-05-05: 55 events, a gap of 5 hours, 19 files");
    assert.equal(await gap.innerText(), "!");
    assert.match(await page.locator(".legend.cells").innerText(), /!\s*a gap/);
    const day = cell(page, "111122223333 us-east-1 2024-05-04: 70 events, 24 files");
    assert.equal(await day.innerText(), "");
    // Tab leads to one cell, arrow keys to the others.
    assert.equal(await page.locator(".map button.cell[tabindex='0']").count(), 1);
    await page.locator(".map button.cell[tabindex='0']").focus();
    for (const key of ["ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp"]) await page.keyboard.press(key);
    assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^111122223333 eu-west-1 2024-05-01/);
    await gap.click();
    await page.locator(".of-cell", { hasText: "2024-05-05" }).waitFor();
    await page.locator(".files [role=status]", { hasText: /^19 files/ }).waitFor();
    const paths = await page.locator(".files tbody tr td:first-child", { hasText: ".json" }).allInnerTexts();
    assert.equal(paths.length, 19);
    assert.ok(paths.every((path) => path.includes("us-east-1/2024/05/05")), paths[0]);
    // The hours of the day.
    await page.locator(".of-cell").getByText("Its hours").click();
    await cell(page, "111122223333 us-east-1 2024-05-05 09h: no event, a gap of 1 hour, 0 files").click();
    await page.locator(".files [role=status]", { hasText: /^0 files/ }).waitFor();
    assert.equal(view(page).get("ct"), "2024-05-05T09");
    await cell(page, "111122223333 us-east-1 2024-05-05 08h: 4 events, 1 file").click();
    await page.locator(".files [role=status]", { hasText: /^1 file / }).waitFor();
    // A link says it all.
    assert.match(await page.locator(".of-cell").innerText(), /Rejected files in us-east-1\/2024\/05\/05/);
    await page.reload();
    await page.locator(".of-cell", { hasText: "2024-05-05 08h" }).waitFor();
    await page.locator(".files [role=status]", { hasText: /^1 file / }).waitFor();
    await axe(page);
    await page.getByText("Search its events").click();
    await found(page, "4 events");
    assert.equal(view(page).get("q"), 'account = "111122223333" region = "us-east-1"');
    await page.goBack();
    await page.locator(".of-cell", { hasText: "2024-05-05 08h" }).waitFor();
  },

  "the newest is in sight": async (page) => {
    await page.setViewportSize({ width: 420, height: 900 });
    await page.goto(`${PAGE}&v=archive`);
    await page.locator(".map tbody tr").first().waitFor();
    const [left, hidden] = await page.locator(".map").evaluate((map) => [map.scrollLeft, map.scrollWidth - map.clientWidth]);
    assert.ok(hidden > 0 && Math.abs(left - hidden) < 2, `${left} of ${hidden}`);
  },

  "files are listed by state and path with their reasons": async (page) => {
    await page.goto(`${PAGE}&v=archive`);
    await page.locator(".states", { hasText: "rejected" }).getByRole("link", { name: "rejected" }).click();
    await page.locator(".files [role=status]", { hasText: /^1 file, rejected/ }).waitFor();
    assert.match(await page.locator(".files .rows tbody").innerText(), /broken\.json[\s\S]*a record should begin here/);
    await page.getByLabel("Path has").fill("half<b>");
    await page.getByRole("button", { name: "List" }).click();
    await page.locator(".files [role=status]", { hasText: /^0 files, rejected/ }).waitFor();
    await page.locator(".states").getByRole("link", { name: "rejected" }).click();
    await page.locator(".files [role=status]", { hasText: /^1 file, but for those that are ignored/ }).waitFor();
    assert.match(await page.locator(".files .rows tbody").innerText(), /half<b>\.json[\s\S]*byte \d+/);
    await page.getByText("any path").click();
    await page.getByRole("button", { name: /^More of / }).click();
    await page.waitForFunction(() => document.querySelectorAll(".files .rows tbody tr").length > 300);
    assert.match(await page.locator("[aria-label=Health]").innerText(), /Ingest\s+runs[\s\S]*Index\s+[\d.]+ [KM]B/);
  },

  "names of accounts and regions stay text": async (page) => {
    await page.addInitScript(() => {
      globalThis.pwned = [];
      globalThis.alert = (text) => globalThis.pwned.push(text);
    });
    await page.goto(`${PAGE}&v=archive`);
    await page.locator(".map tbody tr").first().waitFor();
    const row = page.locator(".map tbody tr", { hasText: "<img src=x onerror=alert(1)>" });
    assert.match(await row.innerText(), /\\u\{202e\}<b>x/);
    await row.locator("button.shade-0, button.shade-1, button.shade-2, button.shade-3").click();
    await page.locator(".files [role=status]", { hasText: /^1 file / }).waitFor();
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await axe(page);
    }
    assert.deepEqual(await page.evaluate(() => [document.querySelectorAll("#page img, #page b").length, globalThis.pwned]), [0, []]);
    assert.doesNotMatch(await page.locator("#page").innerText(), /\u202e/);
    await page.getByText("Search its events").click();
    await found(page, "1 event");
    await page.locator(".views").getByText("Archive").click();
    await row.locator("a").first().click();
    await page.getByText("Only account").waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".map tbody tr").length === 1);
  },

  "keys of the list do nothing beside it": async (page) => {
    await page.goto(`${PAGE}&v=archive`);
    await page.locator(".map tbody tr").first().waitFor();
    for (const key of ["j", "k", "Enter"]) await page.keyboard.press(key);
    assert.equal(view(page).get("e"), null);
    await page.keyboard.press("a");
    await page.locator(".events tbody tr").first().waitFor();
    assert.equal(view(page).get("v"), null);
  },
});
