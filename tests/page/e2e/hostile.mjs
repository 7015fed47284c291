// Records that strangers wrote stay text, and a click on a value finds exactly that value.

import assert from "node:assert/strict";
import { axe, found, open, run, settled } from "./browser.mjs";

/** The values that the test's records have, one each, as the daemon holds them. */
const VALUES = JSON.parse(process.env.TRAILDEX_VALUES);

await run({
  "markup and scripts are text in every place": async (page) => {
    await page.addInitScript(() => {
      globalThis.pwned = [];
      globalThis.alert = (text) => globalThis.pwned.push(text);
    });
    const total = VALUES.length + 2;
    await open(page, "t=all");
    await found(page, `${total} events`);
    await settled(page);
    const rows = page.locator(".events tbody tr");
    assert.equal(await rows.count(), total);
    assert.match(await page.locator(".events").innerText(), /\\u\{202e\}/);
    for (let index = 0; index < total; index += 1) {
      const id = await rows.nth(index).getAttribute("data-id");
      if (id === "large") continue;
      await rows.nth(index).locator(".of-id button").click();
      // Of this event, and not of the one before.
      await page.locator(".detail header code", { hasText: new RegExp(`^${id}$`) }).waitFor();
      await page.locator(".tree li.leaf", { hasText: id }).first().waitFor();
      await page.locator("details:not([open]) summary", { hasText: "Bytes as delivered" }).click();
      const made = await page.evaluate(() => ({
        elements: [...document.querySelectorAll("#page *")].map((element) => element.localName).filter((name) => ["script", "img", "iframe", "object", "embed", "base", "link", "style"].includes(name)),
        handlers: [...document.querySelectorAll("#page *")].flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on") || name === "srcdoc" || name === "action"),
        links: [...document.querySelectorAll("#page a")].map((link) => link.getAttribute("href") ?? "").filter((address) => !address.startsWith("#")),
        pwned: globalThis.pwned,
        polluted: {}.polluted,
      }));
      assert.deepEqual(made, { elements: [], handlers: [], links: [], pwned: [], polluted: undefined }, id);
      // What reorders or hides text is shown by its code.
      const text = await page.locator("#page").innerText();
      assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\u0000-\u0008\u001b\u009b]/, id);
      const [, value] = VALUES.find(([known]) => known === id) ?? [];
      // Markup is there to be read, letter by letter.
      if (value?.includes("<")) assert.ok((await page.locator(".detail .tree").innerText()).includes(value), id);
    }
    await axe(page);
  },

  "a click on a value finds exactly that value": async (page) => {
    await open(page, "t=all");
    for (const [id, value] of VALUES) {
      await page.evaluate((event) => (location.hash = `#t=all&e=${event}`), id);
      await page.locator(".detail header code", { hasText: new RegExp(`^${id}$`) }).waitFor();
      await found(page, `${VALUES.length + 2} events`);
      const leaf = page.locator(".tree li.leaf", { hasText: "secretName" }).first();
      await leaf.hover();
      await leaf.getByRole("button", { name: /^Only requestParameters/ }).click();
      await found(page, "1 event");
      const ids = await page.locator(".events tbody tr").evaluateAll((rows) => rows.map((row) => row.dataset.id));
      assert.deepEqual(ids, [id], JSON.stringify(value));
    }
  },

  "two events of strangers are compared as text": async (page) => {
    await open(page, "t=all&e=hostile-0&d=hostile-2");
    const row = page.locator(".compare tbody tr", { hasText: "secretName" });
    await row.waitFor();
    assert.deepEqual(await row.locator("td .text").allInnerTexts(), [VALUES[2][1], VALUES[0][1]]);
    assert.equal(await page.locator("#page :is(script, img, svg:not(.chart svg))").count(), 0);
    await settled(page);
    await axe(page);
    // A long value is there by its beginning.
    await page.goto(`${page.url().replace(/#.*/, "")}#t=all&e=large&d=odd-keys`);
    await page.locator(".compare tbody tr", { hasText: "more characters" }).first().waitFor();
    await page.locator(".compare tbody tr", { hasText: "__proto__" }).locator("td", { hasText: "polluted" }).waitFor();
    assert.equal(await page.evaluate(() => ({}).polluted), undefined);
  },

  "odd keys are kept apart and can be asked for": async (page) => {
    await open(page, "t=all&e=odd-keys");
    for (const key of ["__proto__", "constructor", "a b", 'q"t', "aws:SourceVpc", "with.dot"]) {
      await page.locator(".tree li").first().waitFor();
      const leaf = page.locator(".tree li.leaf").filter({ has: page.locator(".key", { hasText: new RegExp(`^${key.replace(/[.*+?^$()]/g, "\\$&")}$`) }) }).first();
      await leaf.hover();
      await leaf.getByRole("button", { name: /^Only/ }).click();
      await found(page, "1 event");
      await page.goBack();
      // Or the next one would be counted before it was clicked.
      await found(page, `${VALUES.length + 2} events`);
    }
  },

  "a value of a megabyte does not hold up the page": async (page) => {
    await open(page, "t=all");
    const started = Date.now();
    await page.locator('tr[data-id="large"] .of-id button').click();
    await page.locator(".tree li.leaf", { hasText: "more characters" }).first().waitFor();
    assert.ok(Date.now() - started < 5_000);
  },
});
