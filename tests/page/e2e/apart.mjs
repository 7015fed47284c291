// What is alike is kept apart: events of one id, numbers that JavaScript would round, numbers and texts, names
// of columns; and what is taken out of the page means what it meant in it.

import assert from "node:assert/strict";
import { found, open, run, search, settled } from "./browser.mjs";

const TOTAL = "5 events";
const view = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));
const secret = (page) => page.locator(".tree li.leaf", { hasText: "secretName" });
const copied = (page) => page.evaluate(() => navigator.clipboard.readText());

/** Asks the API as the page does. */
const ask = (page, path, how = {}) =>
  page.evaluate(async ([path, how]) => {
    const authorization = `Bearer ${localStorage.getItem("traildex-token")}`;
    const answer = await fetch(path, { ...how, headers: { authorization, "content-type": "application/json" } });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  }, [path, how]);

await run({
  "events that share an id are compared, and with themselves they are not": async (page) => {
    await open(page, "t=all");
    await found(page, TOTAL);
    const rows = page.locator('.events tbody tr[data-id="twin"]');
    await rows.nth(0).locator(".of-id button").click();
    await page.locator(".note", { hasText: "2 events share this id" }).waitFor();
    await page.locator(".detail").getByRole("button", { name: "Compare" }).click();
    await page.locator(".kept").waitFor();
    assert.equal(await page.locator(".compare").count(), 0);
    await rows.nth(1).locator(".of-id button").click();
    const row = page.locator(".compare tbody tr", { hasText: "secretName" });
    await row.waitFor();
    assert.deepEqual((await row.locator("td .text").allInnerTexts()).toSorted(), ["first", "second"]);
    // Another event, too, which is alone with its id.
    await page.locator('.events tbody tr[data-id="one"] .of-id button').click();
    await page.locator(".compare tbody tr", { hasText: "requestParameters.big" }).locator("td", { hasText: "9007199254740992" }).waitFor();
    await page.locator(".compare").getByRole("button", { name: "Swap" }).click();
    await page.locator(".compare thead th").nth(1).getByText("one").waitFor();
    await page.locator(".compare thead th").nth(2).getByText("twin").waitFor();
  },

  "events that share an id are each their own": async (page) => {
    await open(page, "t=all");
    await found(page, TOTAL);
    const rows = page.locator('.events tbody tr[data-id="twin"]');
    assert.equal(await rows.count(), 2);
    const seen = new Set();
    for (const index of [0, 1, 0]) {
      const time = (await rows.nth(index).locator("td").first().innerText()).replace(" ", "T");
      await rows.nth(index).locator(".of-id button").click();
      await page.locator(".sentence", { hasText: time }).waitFor();
      assert.equal(await page.locator(".events tr.chosen").count(), 1);
      assert.match(await rows.nth(index).getAttribute("class"), /chosen/);
      await page.locator(".note", { hasText: "2 events share this id" }).waitFor();
      const value = await secret(page).innerText();
      // As a link says it, in another tab.
      const other = await page.context().newPage();
      await other.goto(page.url());
      await other.locator(".sentence", { hasText: time }).waitFor();
      assert.equal(await secret(other).innerText(), value);
      await other.close();
      seen.add(value);
    }
    assert.equal(seen.size, 2);
    // The numbers choose, and so do the keys.
    const at = () => page.locator(".events tr.chosen td").first().innerText();
    const before = await at();
    await page.locator(".note button:not(.chosen)").click();
    await page.waitForFunction((text) => document.querySelector(".events tr.chosen td").textContent !== text, before);
    const times = await page.locator(".events tbody tr td:first-child").allInnerTexts();
    const steps = [];
    await page.keyboard.press("Escape");
    for (let step = 0; step < times.length; step += 1) {
      await page.keyboard.press("j");
      steps.push(await at());
    }
    assert.deepEqual(steps, times);
    // A pivot leads to the same of them.
    await rows.first().locator(".of-id button").click();
    const sentence = await page.locator(".sentence").innerText();
    await page.locator(".leads").getByText("All events 10 minutes around").click();
    await settled(page);
    assert.equal(await page.locator(".sentence").innerText(), sentence);
  },

  "an event's id and its record are of one event while it is loading": async (page) => {
    await open(page, "t=all");
    await page.locator('tr[data-id="one"] .of-id button').click();
    await page.locator(".sentence").waitFor();
    let go = () => {};
    const wait = new Promise((done) => (go = done));
    await page.route("**/v1/events/two", async (route) => {
      await wait;
      await route.continue();
    });
    await page.locator('tr[data-id="two"] .of-id button').click();
    await page.locator(".detail header code", { hasText: /^two$/ }).waitFor();
    assert.equal(await page.locator(".sentence, .tree").count(), 0, "the record of the one before");
    go();
    await page.locator(".tree li.leaf", { hasText: "two" }).first().waitFor();
    // The only event of its id needs no place in its link.
    await page.waitForFunction(() => !new URLSearchParams(location.hash.slice(1)).has("s"));
  },

  "numbers are those of the record, and texts that look so are in quotes": async (page) => {
    await open(page, "t=all");
    await search(page, "* | count by requestParameters.big | sort requestParameters.big");
    const cells = async () => (await page.locator(".rows tbody tr td:first-child").allInnerTexts()).sort();
    assert.deepEqual(await cells(), ["9007199254740992", "9007199254740993", "none"]);
    await search(page, "* | count by requestParameters.size");
    assert.deepEqual(await cells(), ['"5"', "5", "none"]);
    await page.evaluate(() => (location.hash += "&c=requestParameters.big"));
    await search(page, "requestParameters.big:*");
    assert.deepEqual((await page.locator(".events tbody td:last-child").allInnerTexts()).sort(), ["9007199254740992", "9007199254740993"]);
  },

  "a cell leads to its events by the name that its column has": async (page) => {
    await open(page, "t=all");
    for (const [query, cell, wanted] of [
      ['* | count by "requestParameters.a b"', "x", '"requestParameters.a b" = "x"'],
      // In quotes it is the record's own; the short name is another field.
      ['* | count by "region"', "own", '"region" = "own"'],
      ['id:one OR"two" | filter id:(one OR two) | count by eventID', "two", '(id:one OR"two") (id:(one OR two)) eventID = "two"'],
    ]) {
      await search(page, query);
      await page.locator(".rows a", { hasText: new RegExp(`^${cell}$`) }).click();
      await found(page, "1 event");
      assert.equal(view(page).get("q"), wanted);
    }
    await search(page, "* | stats count by sourceIPAddress as actor");
    await page.locator(".rows td", { hasText: "192.0.2.1" }).waitFor();
    assert.equal(await page.locator(".rows a").count(), 0, "a name of the query's own is no field");
  },

  "a copied table holds no formula": async (page) => {
    await open(page, "t=all");
    await search(page, "* | count by userAgent");
    const button = page.getByRole("button", { name: "Copy table" });
    assert.match(await button.getAttribute("title"), /formula/);
    await button.click();
    await page.locator('.copy[data-state="done"]').waitFor();
    const lines = (await copied(page)).split("\n");
    assert.ok(lines.includes("'=1+1\t1"), lines.join("\n"));
    assert.ok(lines.includes("'@SUM(1)\t1"), lines.join("\n"));
  },

  "what the values are counted of is said where it is not what is shown": async (page) => {
    await open(page, "t=all");
    await settled(page);
    assert.equal(await page.locator(".basis").count(), 0);
    await search(page, "* | dedup actor");
    await page.locator(".basis", { hasText: "before the stages, of 5 events" }).waitFor();
    await search(page, "* | filter id:one | fields time, actor");
    await settled(page);
    assert.equal(await page.locator(".basis").count(), 0);
    await page.locator(".facet .count", { hasText: /^1$/ }).first().waitFor();
  },

  "a saved search keeps its times, and is replaced and deleted only when asked": async (page) => {
    await open(page, "t=all");
    for (const [name, body] of Object.entries({
      exact: { query: "id:(one OR two)", start: "2024-05-06T07:00:00Z", end: "2024-05-06T07:30:00Z" },
      spoken: { query: "id:one OR id:two", start: "2024-05-06T07", end: "1 minute ago", order: "oldest" },
    })) {
      assert.equal((await ask(page, `/v1/saved/${name}`, { method: "PUT", body: JSON.stringify(body) })).status, 201);
    }
    const menu = page.locator(".menu", { hasText: "Saved" });
    const entry = (name) => menu.locator("li", { hasText: name });
    const run = async (name) => {
      await menu.locator("summary").click();
      await entry(name).getByRole("button", { name: "Run" }).click();
      await settled(page);
    };
    await run("exact");
    await found(page, "1 event");
    assert.equal(view(page).get("t"), "2024-05-06T07:00:00Z..2024-05-06T07:30:00Z");
    await run("spoken");
    await found(page, "2 events");
    assert.equal(view(page).get("q"), '(id:one OR id:two) time >= "2024-05-06T07" time < "1 minute ago"');
    // In place of another one.
    await search(page, "id:three");
    await menu.locator("summary").click();
    await menu.getByLabel("Name").fill("exact");
    await menu.getByRole("button", { name: "Save", exact: true }).click();
    await menu.locator(".warning", { hasText: "There is a search of this name" }).waitFor();
    const saved = async () => (await ask(page, "/v1/saved")).body.saved.exact;
    assert.equal((await saved()).query, "id:(one OR two)");
    await menu.getByRole("button", { name: "Replace it" }).click();
    await entry("exact").locator("code", { hasText: "id:three" }).waitFor();
    assert.equal((await saved()).start, "2024-05-06T07:00:00Z");
    await menu.getByRole("button", { name: "Delete exact" }).click();
    assert.ok(await saved());
    await menu.getByRole("button", { name: "Really delete exact" }).click();
    await entry("exact").waitFor({ state: "detached" });
    assert.equal(await saved(), undefined);
  },

  "a bar is as long as its month, and a coverage that fails is told": async (page, { allowed }) => {
    allowed.push(/500 \(Internal Server Error\)/);
    await page.route("**/v1/coverage?*", (route) => route.fulfill({ status: 500, body: '{"error":{"kind":"internal","message":"no picture"}}' }));
    await open(page, "t=2014-01-01T00%3A00%3A00Z..2034-01-01T00%3A00%3A00Z&z=Europe%2FBerlin");
    await page.locator(".timeline .hint", { hasText: "no picture" }).waitFor();
    await page.locator(".timeline .hint", { hasText: "a bar is 1 month" }).waitFor();
    const box = await page.locator(".chart g .hit").boundingBox();
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await page.waitForFunction(() => location.hash.includes("2024-"));
    assert.equal(view(page).get("t"), "2024-04-30T22:00:00Z..2024-05-31T22:00:00Z");
  },
});
