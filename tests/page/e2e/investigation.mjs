// The sample trail, from the first question to an event and what led there.

import assert from "node:assert/strict";
import { axe, found, open, run, search, settled } from "./browser.mjs";

const KEY = "AKIATFQR7NSC8Q4X20BJ";
const view = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));

await run({
  "from who deleted trails to all that the key did": async (page) => {
    await open(page);
    assert.equal(new URL(page.url()).hash, "", "the token is out of the address");
    await found(page, "2,900 events");
    await search(page, "eventName:DeleteTrail");
    await found(page, "3 events");
    await page.locator(".events tbody tr").first().click();
    const sentence = page.locator(".sentence");
    await sentence.waitFor();
    assert.match(await sentence.innerText(), /^bert-jan called cloudtrail:DeleteTrail on stratus-red-team-\S+ from 192\.168\.10\.20 with \S+ at 2023-07-10T12:08:04Z in us-east-1, with iam-user credentials: success\.$/);
    await page.locator(".facts", { hasText: "SHA-256" }).waitFor();
    assert.match(await page.locator(".facts").last().innerText(), /[0-9a-f]{64}/);
    await page.locator(".leads tr", { hasText: "access key" }).getByText("everything").click();
    await found(page, "2,104 events");
    assert.equal(view(page).get("q"), `userIdentity.accessKeyId = "${KEY}"`);
    await settled(page);
    // Exact counts, and one click to keep a value.
    const outcome = page.locator(".facet", { hasText: "outcome" }).first();
    await outcome.locator("button.value", { hasText: "denied" }).click();
    assert.match(view(page).get("q"), /outcome = "denied"$/);
    const denied = await page.locator(".summary strong").innerText();
    await page.getByRole("button", { name: "Undo" }).click();
    await found(page, "2,104 events");
    await page.goForward();
    await page.locator(".summary strong", { hasText: denied }).waitFor();
    await page.goBack();
    await found(page, "2,104 events");
    // A table, whose cells lead to their events.
    await search(page, `key = ${KEY} | top 3 service`);
    assert.deepEqual(await page.locator(".rows tbody tr").allInnerTexts(), ["ec2.amazonaws.com\t736", "ssm.amazonaws.com\t467", "iam.amazonaws.com\t392"]);
    await page.locator(".rows a", { hasText: "ssm.amazonaws.com" }).click();
    await found(page, "467 events");
  },

  "an error is shown at its byte and mended by a click": async (page, { allowed }) => {
    allowed.push(/400 \(Bad Request\)/);
    await open(page);
    await search(page, "é eventNam:CreateUser");
    await page.locator(".error", { hasText: "did you mean 'eventName'" }).waitFor();
    assert.equal(await page.locator(".mirror mark").textContent(), "eventNam");
    await page.getByRole("button", { name: "Use eventName" }).click();
    await found(page, "0 events");
    await search(page, "eventName:createuser");
    await page.locator(".explanation", { hasText: "leaves nothing" }).waitFor();
    await page.getByRole("button", { name: "eventName:CreateUser" }).click();
    await found(page, "4 events");
  },

  "keys lead through the list and never while one types": async (page) => {
    await open(page, "q=eventName%3ACreateUser&t=all");
    await found(page, "4 events");
    const ids = await page.locator(".events tbody tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
    const chosen = () => page.locator(".events tr.chosen").getAttribute("data-id");
    await page.keyboard.press("j");
    assert.equal(await chosen(), ids[0]);
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    assert.equal(await chosen(), ids[2]);
    await page.keyboard.press("k");
    assert.equal(await chosen(), ids[1]);
    await page.locator(".sentence").waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".detail").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.keyboard.type(" jk?");
    assert.equal(await page.locator("#query").inputValue(), "eventName:CreateUser jk?");
    assert.equal(await page.locator(".detail").count(), 0);
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await page.keyboard.press("?");
    await page.locator("dialog[open]").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog[open]").waitFor({ state: "detached" });
  },

  "a link says the whole view and a zone is shown and switched": async (page, { allowed }) => {
    allowed.push(/404 \(Not Found\)/);
    await open(page, "q=eventName%3ACreateUser&t=2023-07-10T12%3A00%3A00Z..2023-07-10T12%3A30%3A00Z&e=nonsense&z=Europe%2FBerlin&o=oldest&c=userAgent");
    await found(page, "4 events");
    await page.locator(".error", { hasText: "nonsense" }).waitFor();
    assert.match(await page.locator(".events th").first().innerText(), /time \(Europe\/Berlin\) ↑/);
    assert.match(await page.locator(".events td").first().innerText(), /^2023-07-10 14:/);
    assert.match(await page.locator(".events tr").nth(1).innerText(), /terraform/i);
    await page.locator("select.zone").selectOption("UTC");
    await page.locator(".events td", { hasText: /^2023-07-10 12:/ }).first().waitFor();
    await page.locator(".menu summary", { hasText: "2023-07-10" }).click();
    await page.getByRole("button", { name: "Archive's last day" }).click();
    await settled(page);
    await page.getByRole("button", { name: "Copy link" }).first().click();
    const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    assert.match(link.hash, /t=2023-07-09T12%3A37%3A51Z\.\.2023-07-10T12%3A37%3A51Z/, "a relative range becomes absolute");
  },

  "the timeline narrows by drag and by click": async (page) => {
    await open(page, "t=all");
    const chart = page.locator(".chart");
    await page.locator(".chart g").first().waitFor();
    assert.match(await chart.getAttribute("aria-label"), /^2,900 events from .* most at /);
    const box = await chart.boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => location.hash.includes("t=2023-07-10"));
    await settled(page);
    const [from, to] = view(page).get("t").split("..").map(Date.parse);
    assert.ok(to - from > 12 * 60e3 && to - from < 17 * 60e3, `${to - from}`);
    await page.goBack();
    await found(page, "2,900 events");
    await page.getByLabel("Bars by").last().selectOption("actor");
    await page.locator(".legend", { hasText: "benjamin" }).waitFor();
  },

  "more events come as one scrolls, each once": async (page) => {
    await open(page, "t=all");
    await page.waitForFunction(() => document.querySelectorAll(".events tbody tr").length === 100);
    for (const count of [200, 300]) {
      await page.locator("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));
      await page.waitForFunction((wanted) => document.querySelectorAll(".events tbody tr").length >= wanted, count);
    }
    const ids = await page.locator(".events tbody tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
    assert.equal(new Set(ids).size, ids.length);
  },

  "fields and values are offered as one types": async (page) => {
    await open(page);
    await page.locator("#query").pressSequentially("eventNa");
    await page.locator(".completion li", { hasText: "eventName" }).first().waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.type("CreateUs");
    await page.locator(".completion li", { hasText: "CreateUser" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await found(page, "4 events");
    assert.equal(view(page).get("q"), "eventName:CreateUser");
  },

  "a search is saved with its parameters and run": async (page) => {
    await open(page);
    await search(page, "eventName:$action");
    const menu = page.locator(".menu", { hasText: "Saved" });
    await menu.locator("summary").click();
    await menu.getByLabel("Name").fill("by-action");
    await menu.getByRole("button", { name: "Save", exact: true }).click();
    await menu.locator("li", { hasText: "by-action" }).getByRole("textbox", { name: "action" }).fill("CreateUser");
    await menu.getByRole("button", { name: "Run" }).click();
    await found(page, "4 events");
    await menu.locator("summary").click();
    await menu.getByRole("button", { name: "Delete by-action" }).click();
    await menu.getByRole("button", { name: "Really delete by-action" }).click();
    await menu.locator("li").waitFor({ state: "detached" });
  },

  "axe finds nothing in any view": async (page, { allowed }) => {
    allowed.push(/400 \(Bad Request\)/);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await open(page, "q=eventName%3ADeleteTrail&t=all&e=c0057a42-1625-4b1d-9db5-352f931f790a");
      await page.locator(".sentence").waitFor();
      await settled(page);
      await axe(page);
      for (const query of ["errorCode:* | count by actor, errorCode", "eventName:createuser", "eventNam:x"]) {
        await search(page, query);
        await axe(page);
      }
      await page.keyboard.press("Escape");
      await page.locator(".menu summary").first().click();
      await axe(page);
    }
  },
});
