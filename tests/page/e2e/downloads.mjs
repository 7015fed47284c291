// Downloads: all that the query finds, as files with plain names, by links without the token.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { axe, found, open, run, search } from "./browser.mjs";

const menu = (page) => page.locator(".menu", { hasText: "Download" }).first();

/** Does what begins a download; its name, its bytes and its address. */
async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()), url: download.url() };
}

await run({
  "all that a query finds is saved in each format": async (page, { allowed }) => {
    allowed.push(/410 \(Gone\)/);
    await open(page, "q=eventName%3ADeleteTrail&t=all");
    await found(page, "3 events");
    await menu(page).locator("summary").click();
    await menu(page).getByText("3 events", { exact: false }).waitFor();
    const lines = await saved(page, () => menu(page).getByRole("button", { name: "JSON lines" }).click());
    assert.equal(lines.name, "traildex.ndjson");
    const names = lines.bytes.toString().trim().split("\n").map((line) => JSON.parse(line).eventName);
    assert.deepEqual(names, ["DeleteTrail", "DeleteTrail", "DeleteTrail"]);
    const token = await page.evaluate(() => localStorage.getItem("traildex-token"));
    assert.ok(!lines.url.includes(token) && /\/v1\/export\?ticket=[0-9a-f]{64}$/.test(lines.url), lines.url);
    const csv = await saved(page, () => menu(page).getByRole("button", { name: "CSV" }).click());
    assert.equal(csv.name, "traildex.csv");
    assert.equal(csv.bytes.toString().trim().split("\n").length, 4);
    const parquet = await saved(page, () => menu(page).getByRole("button", { name: "Parquet" }).click());
    assert.equal(parquet.name, "traildex.parquet");
    assert.equal(parquet.bytes.subarray(0, 4).toString(), "PAR1");
    assert.equal(parquet.bytes.subarray(-4).toString(), "PAR1");
    await menu(page).getByText("The browser has been told to save traildex.parquet").waitFor();
    // Its address is of use once.
    const status = await page.evaluate((url) => fetch(url).then((answer) => answer.status), lines.url);
    assert.equal(status, 410);
  },

  "more than the list shows, in its order and its time, and rows": async (page) => {
    await open(page, "t=2023-07-10T11%3A00%3A00Z..2023-07-10T13%3A00%3A00Z&o=oldest");
    const count = Number((await page.locator(".summary strong").innerText()).replace(/\D/g, ""));
    assert.ok(count > 100, `${count}`);
    await menu(page).locator("summary").click();
    const all = await saved(page, () => menu(page).getByRole("button", { name: "JSON lines" }).click());
    const times = all.bytes.toString().trim().split("\n").map((line) => JSON.parse(line).eventTime);
    assert.equal(times.length, count);
    assert.deepEqual(times, times.toSorted());
    await page.keyboard.press("Escape");
    await search(page, "* | count by service");
    await menu(page).locator("summary").click();
    const rows = await saved(page, () => menu(page).getByRole("button", { name: "CSV" }).click());
    assert.match(rows.bytes.toString(), /^service,count\r?\n/);
  },

  "how the query was taken is told before": async (page) => {
    await open(page, "t=all");
    await search(page, "eventName:DeleteTrail or alice");
    await menu(page).locator("summary").click();
    let begun = 0;
    page.on("download", () => (begun += 1));
    await menu(page).getByRole("button", { name: "CSV" }).click();
    const told = menu(page).locator(".warning");
    await told.waitFor();
    assert.match(await told.innerText(), /'or'/);
    assert.equal(begun, 0);
    await axe(page);
    const file = await saved(page, () => told.getByRole("button", { name: "Download all the same" }).click());
    assert.equal(file.name, "traildex.csv");
    assert.equal(begun, 1);
    // Of another query, another answer.
    await page.keyboard.press("Escape");
    await search(page, "eventName:DeleteTrail");
    await menu(page).locator("summary").click();
    assert.equal(await menu(page).locator(".warning").count(), 0);
  },

  "there is nothing to save of a query with an error": async (page, { allowed }) => {
    allowed.push(/400 \(Bad Request\)/);
    await open(page);
    await search(page, "eventNam:x");
    await menu(page).locator("summary").click();
    await menu(page).getByText("There is nothing to download").waitFor();
    assert.equal(await menu(page).getByRole("button").count(), 0);
  },
});
