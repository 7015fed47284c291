// The tail: new events as they come; it waits while one reads, is bounded, and survives the daemon.

import assert from "node:assert/strict";
import { URL as PAGE, ask, axe, run } from "./browser.mjs";

const rows = (page) => page.locator(".events tbody tr");
const ids = (page) => rows(page).evaluateAll((all) => all.map((row) => row.dataset.id));
const status = (page, text) => page.locator(".tailing", { hasText: text }).waitFor();
const follow = async (page, view = "") => {
  await page.goto(`${PAGE}&v=tail${view}`);
  await status(page, "Following");
};

await run({
  "what comes is on top, and waits while an event is open or the list is scrolled": async (page) => {
    await follow(page);
    assert.equal(await rows(page).count(), 0, "only what comes from now on");
    await ask("add a 1");
    await page.locator('[data-id="a-0"]').waitFor();
    await ask("add b 1");
    await page.locator('[data-id="b-0"]').waitFor();
    assert.deepEqual(await ids(page), ["b-0", "a-0"]);
    await page.locator('[data-id="a-0"]').click();
    await page.locator(".sentence").waitFor();
    await status(page, "Held while you read");
    await ask("add c 3");
    await page.getByRole("button", { name: "3 new" }).waitFor();
    assert.deepEqual(await ids(page), ["b-0", "a-0"]);
    await axe(page);
    await page.keyboard.press("j");
    assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get("v"), "tail");
    await page.keyboard.press("Escape");
    await page.locator('[data-id="c-2"]').waitFor();
    assert.equal(await rows(page).count(), 5);
    // Scrolled.
    await ask("add d 60");
    await page.locator('[data-id="d-59"]').waitFor();
    await page.locator("main").evaluate((main) => main.scrollTo(0, 500));
    await status(page, "Held while you read");
    await ask("add e 2");
    await page.getByRole("button", { name: "2 new" }).waitFor();
    assert.equal(await rows(page).count(), 65);
    await page.getByRole("button", { name: "2 new" }).click();
    await page.locator('[data-id="e-1"]').waitFor();
    assert.equal((await ids(page)).length, 67);
    await status(page, "Following");
    await status(page, "67 events came");
  },

  "only what the query finds comes, and what is no tail is refused": async (page, { allowed }) => {
    allowed.push(/400 \(Bad Request\)/);
    await follow(page, "&q=eventName%3ANothing%20or%20more");
    assert.match(await page.locator(".warning").first().innerText(), /'or'/);
    await follow(page, "&q=eventID%3Ag-1");
    await ask("add g 3");
    await page.locator('[data-id="g-1"]').waitFor();
    assert.deepEqual(await ids(page), ["g-1"]);
    await page.locator("#query").fill("* | count by actor");
    await page.locator("#query").press("Enter");
    await page.locator(".error", { hasText: "without stages" }).waitFor();
    assert.equal(await rows(page).count(), 0);
  },

  "a restart is gone on behind, and nothing is missed": async (page, { allowed }) => {
    allowed.push(/503|ERR_|Failed to load/);
    await follow(page);
    await ask("add h 1");
    await page.locator('[data-id="h-0"]').waitFor();
    await ask("stop");
    await status(page, "Broken off");
    await ask("add i 2");
    await ask("start");
    await page.locator('[data-id="i-1"]').waitFor();
    await status(page, "Following");
    assert.deepEqual(await ids(page), ["i-1", "i-0", "h-0"]);
    assert.equal(await page.getByText("Events may be missing").count(), 0);
    // Another index knows nothing of where it was.
    await ask("stop");
    await status(page, "Broken off");
    await ask("anew");
    await page.getByText("Events may be missing here that came between").waitFor();
    await status(page, "Following");
    await ask("add k 1");
    await page.locator('[data-id="k-0"]').waitFor();
    await page.keyboard.press("t");
    await page.locator(".summary strong").waitFor();
  },

  "a thousand are kept, and the others are counted": async (page) => {
    await follow(page);
    await ask("add l 1200");
    await page.getByText("200 events of these are no longer here").waitFor();
    assert.equal(await rows(page).count(), 1_000);
    const all = await ids(page);
    assert.deepEqual([all[0], all.at(-1)], ["l-1199", "l-200"]);
  },
});
