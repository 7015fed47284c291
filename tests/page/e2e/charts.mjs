// Tables as charts: bars and lines over time, a bar for each row; each leads to exactly its events.

import assert from "node:assert/strict";
import { axe, found, open, run, search, settled } from "./browser.mjs";

const view = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));
const ROWS = ".rows tbody tr";

/** What the page found, as a number. */
const total = async (page) => {
  await settled(page);
  return Number((await page.locator(".summary strong").innerText()).replace(/\D/g, ""));
};

await run({
  "the most frequent are bars that lead to their events": async (page) => {
    await open(page);
    await search(page, "errorCode:* | top 5 actor, errorCode");
    const bars = page.locator(".drawn .bars li");
    assert.equal(await bars.count(), 5);
    const rows = await page.locator(ROWS).evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
    assert.deepEqual(await bars.evaluateAll((all) => all.map((bar) => bar.innerText.split("\n").map((text) => text.trim()).filter(Boolean))), rows.map(([actor, error, count]) => [`${actor} · ${error}`, count]));
    const widths = await bars.locator("i").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().width));
    const counts = rows.map(([, , count]) => Number(count.replace(/\D/g, "")));
    for (const [at, width] of widths.entries()) assert.ok(Math.abs(width / widths[0] - counts[at] / counts[0]) < 0.02, `${widths} ${counts}`);
    await settled(page);
    await axe(page);
    await bars.nth(1).locator("a").click();
    assert.equal(await total(page), counts[1]);
    await page.goBack();
    await bars.nth(2).locator(".place").click();
    assert.equal(await total(page), counts[2]);
    await page.goBack();
    // A number of the table, too; and a value leads to all with it.
    await page.locator(ROWS).nth(3).locator(".number a").click();
    assert.equal(await total(page), counts[3]);
    await page.goBack();
    await page.getByLabel("Chart", { exact: true }).last().selectOption("none");
    assert.equal(await bars.count(), 0);
    assert.equal(view(page).get("ch"), "none");
    await page.reload();
    await page.locator(ROWS).first().waitFor();
    assert.equal(await bars.count(), 0);
  },

  "a timeline is drawn by its lines, and a bar leads to its events": async (page) => {
    await open(page, "t=all");
    await search(page, "* | timeline 10m by service");
    const chart = page.locator(".drawn .chart");
    await chart.waitFor();
    assert.match(await chart.getAttribute("aria-label"), /^count from 2023-07-10 11:40:00 to 2023-07-10 12:40:00, at most \d/);
    assert.equal(await chart.locator("g").count(), 6);
    assert.match(await page.locator(".drawn .legend").innerText(), /ec2\.amazonaws\.com[\s\S]*others/);
    const rows = await page.locator(ROWS).evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText)));
    const of = (time, service) => rows.filter(([at, name]) => at === time && (!service || name === service)).reduce((sum, row) => sum + Number(row[2].replace(/\D/g, "")), 0);
    // A part of a bar is a service's, the space above it all of them.
    const third = chart.locator("g").nth(2);
    const title = await third.locator("title").textContent();
    const [time, first] = title.split("\n");
    const [, service, count] = /^(.*): ([\d,]+)$/.exec(first);
    assert.equal(of(time, service), Number(count.replace(/\D/g, "")));
    await third.locator(".hit").click({ position: { x: 3, y: 2 }, force: true });
    assert.equal(await total(page), of(time));
    assert.equal(view(page).get("q"), "*");
    await page.goBack();
    await chart.waitFor();
    await third.locator("rect").nth(1).click({ force: true });
    const [, name] = /^service = "(.*)"$/.exec(view(page).get("q"));
    assert.equal(await total(page), of(time, name));
    await page.goBack();
    await chart.waitFor();
    await page.locator(ROWS).nth(4).locator(".number a").click();
    assert.equal(await total(page), of(rows[4][0], rows[4][1]));
    await page.goBack();
    await page.locator(ROWS).nth(4).locator("a").first().click();
    assert.equal(await total(page), of(rows[4][0]));
    await page.goBack();
    await chart.waitFor();
    await page.getByLabel("Chart", { exact: true }).last().selectOption("lines");
    assert.equal(await chart.locator("polyline").count(), 6);
    assert.equal(view(page).get("ch"), "lines");
    await settled(page);
    await axe(page);
    await page.locator(".drawn .legend a").first().click();
    await found(page, "892 events");
  },

  "numbers that do not add up are lines, and one of several is chosen": async (page) => {
    await open(page, "t=all");
    await search(page, "* | timechart span=10m count, distinct(actor)");
    assert.equal(await page.locator(".drawn rect:not(.hit)").count(), 6);
    await page.getByLabel("Drawn column").selectOption("distinct(actor)");
    await page.locator(".drawn polyline").waitFor();
    assert.equal(await page.locator(".drawn rect:not(.hit)").count(), 0);
    assert.equal(view(page).get("m"), "distinct(actor)");
    assert.match(await page.locator(".drawn .chart").getAttribute("aria-label"), /^distinct\(actor\)/);
    // In another zone, bars are those of its clocks.
    await page.locator("select.zone").selectOption("Europe/Berlin");
    await settled(page);
    await page.locator(".drawn .chart[aria-label*='13:40:00']").waitFor();
    await search(page, "* | stats count(*) by bin(1d), credential");
    assert.equal(await page.locator(".drawn .chart g").count(), 1);
    await search(page, "* | stats count");
    assert.equal(await page.locator(".drawn").count(), 0);
  },
});
