// Alerts: the list and its ways, the way to the events, what a person does with them, what comes meanwhile;
// what strangers wrote stays text.

import assert from "node:assert/strict";
import { URL as PAGE, ask, axe, found, run, search, settled } from "./browser.mjs";

const { many, reader, none } = JSON.parse(process.env.TRAILDEX_VALUES);

const view = (page) => new URLSearchParams(new URL(page.url()).hash.slice(1));
const rows = (page) => page.locator("tr[data-alert]");
const row = (page, text) => page.locator("tr[data-alert]", { hasText: text });
const pane = (page) => page.locator(".detail");
const counts = (page, text) => page.locator(".counts strong", { hasText: new RegExp(`^${text}$`) }).waitFor();
const listed = (page, count) => page.waitForFunction((wanted) => document.querySelectorAll("tr[data-alert]").length === wanted, count);
const total = many + 3;

/** Opens the view with so many alerts, as the page writes it. */
async function open(page, text = `${total} alerts`, more = "&t=all", address = PAGE) {
  await page.goto(`${address}&v=alerts${more}`);
  await counts(page, text);
}

/** Nothing is dimmed because something is asked for. */
async function accessible(page) {
  await settled(page);
  await axe(page);
}

/** Opens the pane of the alert in a row. */
async function pick(page, text) {
  await row(page, text).locator("button.lead").click();
  await pane(page).locator(".sentence", { hasText: text }).waitFor();
}

await run({
  "the list is the latest first, and its filters are in the address": async (page) => {
    await page.goto(`${PAGE}&t=all`);
    await found(page, `${many + 4} events`);
    await page.keyboard.press("l");
    await counts(page, `${total} alerts`);
    assert.equal(view(page).get("v"), "alerts");
    assert.equal(await page.title(), "Alerts – traildex");
    assert.match(await page.locator(".counts").innerText(), new RegExp(`– 1 to 100 are below\\s+critical 1\\s+high 1\\s+medium 1\\s+low ${many}\\s+open ${total}`));
    assert.match(await rows(page).first().innerText(), /critical\s+open\s+2024-05-07 10:00:00\s+1\s+<img src=x/);
    await listed(page, 100);
    await page.getByText("earlier →").click();
    await listed(page, total - 100);
    assert.equal(view(page).get("lo"), "100");
    await page.getByText("← later").click();
    await listed(page, 100);
    // Each filter by itself, and together.
    await page.getByLabel("Level").selectOption("medium");
    await counts(page, "3 alerts");
    await page.getByLabel("Rule", { exact: true }).selectOption({ label: "A trail was stopped (1)" });
    await counts(page, "1 alert");
    assert.equal(await rows(page).count(), 1);
    assert.deepEqual([view(page).get("ll"), view(page).get("lr")], ["medium", "6a1f9d1e-52cb-4a53-8d3b-0d8f2f8b7c11"]);
    await page.reload();
    await counts(page, "1 alert");
    assert.equal(await page.getByLabel("Level").inputValue(), "medium");
    await page.getByText("all alerts", { exact: true }).click();
    await counts(page, `${total} alerts`);
    await page.getByLabel("Words").fill("U00 many");
    await page.getByRole("button", { name: "Find" }).click();
    await counts(page, "10 alerts");
    await page.getByLabel("State").selectOption("closed");
    await counts(page, "0 alerts");
    await page.goBack();
    await counts(page, "10 alerts");
    await page.getByLabel("Time zone").selectOption("Asia/Tokyo");
    await row(page, "user/u009").getByText("2024-05-05 09:09:00").waitFor();
    await accessible(page);
  },

  "the time is the page's, and there is a way to alerts in other times": async (page) => {
    // The archive's last day has the evil one only.
    await open(page, "1 alert", "");
    await page.goto(`${PAGE}&v=alerts&t=2023-01-01T00:00:00Z..2023-01-02T00:00:00Z`);
    await page.locator(".counts", { hasText: `0 alerts in this time; there are ${total} alerts in all time` }).waitFor();
    await page.getByRole("button", { name: "Show all time" }).click();
    await counts(page, `${total} alerts`);
    assert.equal(view(page).get("v"), "alerts", "another time of alerts is no search");
    // Over time, by level; a click on a bar narrows the time.
    const chart = page.locator("[aria-label='Alerts over time']");
    await chart.locator(`.chart[aria-label^="${total} alerts from 2024-05-05 00:00:00 to 2024-05-07 23:59:01, most at 2024-05-05 00:00:00: "]`).waitFor();
    assert.deepEqual(await chart.locator(".legend li").allInnerTexts(), ["critical", "high", "medium", "low"]);
    const bar = chart.locator("rect.c-critical");
    assert.equal(await bar.count(), 1);
    const box = await bar.boundingBox();
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    await counts(page, "1 alert");
    assert.equal(view(page).get("t"), "2024-05-07T10:00:00Z..2024-05-07T11:00:00Z");
    await page.goBack();
    await counts(page, `${total} alerts`);
  },

  "by principal, those with the worst come first": async (page) => {
    await open(page);
    await page.getByLabel("List", { exact: true }).selectOption("principal");
    await page.locator(".groups", { hasText: `${many + 3} principals` }).waitFor();
    assert.equal(view(page).get("lg"), "principal");
    const groups = page.locator(".group");
    assert.match(await groups.nth(0).innerText(), /^<script>alert\(5\)<\/script>\\u\{202e\}\s+critical 1\s+1 alert, 1 open/);
    assert.match(await groups.nth(1).innerText(), /^arn:aws:iam::1:user\/alice\s+high 1\s+1 alert/);
    assert.match(await groups.nth(2).innerText(), /^awsRegion us-east-1 \(no principal\)\s+medium 1/);
    await groups.nth(1).locator("summary").click();
    await pick(page, "A trail was stopped");
    await accessible(page);
    // A link to it opens where it stands.
    await page.reload();
    await row(page, "A trail was stopped").waitFor();
    await pane(page).locator(".sentence").waitFor();
  },

  "the pane has what the rule says, and leads to the events": async (page) => {
    await open(page);
    await pick(page, "A trail was stopped");
    const text = await pane(page).innerText();
    for (const part of [
      /high\s+A trail was stopped/, /principal\s+arn:aws:iam::1:user\/alice/, /first event\s+2024-05-06 07:08:09 \(UTC\)/, /last event\s+2024-05-06 07:30:00 \(UTC\)/, /events\s+2/,
      /Somebody stopped a trail\.\nWhat happens next is not recorded\./, /What else it can be\s+A planned change of trails/, /attack\.t1562\.008/, /author\s+An Author/, /licence\s+Apache-2\.0/, /state\s+open/, /kind\s+events/,
    ]) assert.match(text, part);
    // A link only where it is one.
    const links = await pane(page).locator(".references a").evaluateAll((all) => all.map((link) => [link.getAttribute("href"), link.rel, link.target]));
    assert.deepEqual(links, [["https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StopLogging.html", "noopener noreferrer", "_blank"]]);
    assert.match(text, /javascript:alert\(7\)/);
    await accessible(page);
    await page.getByText("Search its 2 events").click();
    await found(page, "2 events");
    assert.equal(view(page).get("v"), null);
    assert.equal(view(page).get("t"), "2024-05-06T07:08:09Z..2024-05-06T07:30:01Z");
    const ids = await page.locator(".events tbody tr").evaluateAll((all) => all.map((one) => one.dataset.id));
    assert.deepEqual(ids, ["stop-2", "stop-1"]);
    await page.goBack();
    await pane(page).locator(".sentence", { hasText: "A trail was stopped" }).waitFor();
    // One of events together names them.
    await pick(page, "Trails of a region");
    await pane(page).getByText("2 events by id").click();
    await pane(page).getByRole("link", { name: "stop-1" }).click();
    await page.locator(".detail .tree").waitFor();
    await found(page, "2 events");
    // What is typed into the query is searched among the events.
    await page.keyboard.press("l");
    await counts(page, /\d+ alerts?/.source);
    await search(page, "eventName:PutEvil");
    assert.equal(view(page).get("v"), null);
  },

  "keys lead through the list": async (page) => {
    await open(page);
    await page.keyboard.press("j");
    const first = await rows(page).nth(0).getAttribute("data-alert");
    assert.equal(view(page).get("l"), first);
    await page.keyboard.press("j");
    assert.equal(view(page).get("l"), await rows(page).nth(1).getAttribute("data-alert"));
    assert.equal(await page.locator("tr[aria-current=true]").count(), 1);
    await page.keyboard.press("k");
    assert.equal(view(page).get("l"), first);
    await page.keyboard.press("Escape");
    await pane(page).waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await pane(page).waitFor();
    await page.getByLabel("Words").focus();
    await page.keyboard.press("j");
    assert.equal(await page.getByLabel("Words").inputValue(), "j");
    assert.equal(view(page).get("l"), first);
  },

  "a person acknowledges, notes, closes and reopens, one and several": async (page) => {
    await open(page);
    await pick(page, "A trail was stopped");
    const doings = pane(page).getByRole("group", { name: "What to do" });
    await doings.getByRole("button", { name: "Acknowledge" }).click();
    await row(page, "A trail was stopped").getByText("acknowledged").waitFor();
    await pane(page).locator("tr", { hasText: "changed by" }).getByText(/^user \d+$/).waitFor();
    await page.locator(".counts", { hasText: "acknowledged 1" }).waitFor();
    assert.equal(await doings.getByRole("button", { name: "Acknowledge" }).count(), 0);
    const note = "=1+1 <b>looked at</b>\nby us";
    await doings.getByLabel("Note").fill(note);
    await doings.getByRole("button", { name: "Keep the note" }).click();
    await row(page, "A trail was stopped").getByText("with a note").waitFor({ state: "attached" });
    // What is typed goes with the state.
    await doings.getByLabel("Note").fill(`${note}!`);
    await doings.getByRole("button", { name: "Close" }).click();
    await page.getByLabel("State").selectOption("closed");
    await counts(page, "1 alert");
    await page.reload();
    await counts(page, "1 alert");
    await doings.getByLabel("Note").waitFor();
    assert.equal(await doings.getByLabel("Note").inputValue(), `${note}!`);
    await doings.getByRole("button", { name: "Reopen" }).click();
    await counts(page, "0 alerts");
    await doings.getByLabel("Note").fill("");
    await doings.getByRole("button", { name: "Keep the note" }).click();
    await page.getByLabel("State").selectOption("open");
    await counts(page, `${total} alerts`);
    assert.equal(await page.locator("tr[data-alert] .sr").count(), 0);
    await page.goto(`${page.url().replace(/#.*/, "")}#t=all&v=alerts`);
    await pane(page).waitFor({ state: "detached" });
    // Several: two by themselves, and all of a page.
    await counts(page, `${total} alerts`);
    for (const text of ["A trail was stopped", "Trails of a region"]) await page.getByRole("checkbox", { name: `Choose ${text}` }).check();
    await page.locator(".tailing", { hasText: "2 alerts chosen" }).waitFor();
    const several = page.getByRole("group", { name: "What to do with the chosen" });
    await accessible(page);
    await several.getByLabel("Note").fill("a drill");
    await several.getByRole("button", { name: "Close" }).click();
    await page.locator(".counts", { hasText: "closed 2" }).waitFor();
    await page.locator(".tailing").waitFor({ state: "detached" });
    await page.getByLabel("State").selectOption("closed");
    await counts(page, "2 alerts");
    await page.getByRole("checkbox", { name: "Choose all: Alerts" }).check();
    await page.locator(".tailing", { hasText: "2 alerts chosen" }).waitFor();
    await several.getByRole("button", { name: "Reopen" }).click();
    await counts(page, "0 alerts");
    await page.getByLabel("State").selectOption("");
    await counts(page, `${total} alerts`);
    await pick(page, "Trails of a region");
    assert.equal(await pane(page).getByLabel("Note").inputValue(), "a drill");
  },

  "a refusal is told, and what was typed stays": async (page, { allowed }) => {
    allowed.push(/40[03] \(/);
    await open(page);
    await pick(page, "A trail was stopped");
    await pane(page).getByLabel("Note").fill("é".repeat(2_049));
    await pane(page).getByRole("button", { name: "Keep the note" }).click();
    await pane(page).locator(".error", { hasText: "4096 bytes at most" }).waitFor();
    assert.equal((await pane(page).getByLabel("Note").inputValue()).length, 2_049);
    // A page that only reads.
    await open(page, `${total} alerts`, "&t=all", reader);
    await page.getByRole("checkbox", { name: "Choose A trail was stopped" }).check();
    await page.getByRole("group", { name: "What to do with the chosen" }).getByRole("button", { name: "Close" }).click();
    await page.locator(".tailing .error", { hasText: "--read-only" }).waitFor();
    await page.locator(".tailing", { hasText: "1 alert chosen" }).waitFor();
  },

  "what strangers and rules wrote stays text": async (page) => {
    await page.addInitScript(() => {
      globalThis.pwned = [];
      globalThis.alert = (text) => globalThis.pwned.push(text);
    });
    await open(page);
    await pick(page, "<img src=x onerror=alert(1)>");
    await pane(page).getByText("<iframe src=javascript:alert(4)>").waitFor();
    const text = await pane(page).innerText();
    for (const part of ["<script>alert(2)</script>", '"><svg onload=alert(3)>', "\\u{202e}0.2-ehcapA", "<b>http</b>", "<script>alert(5)</script>\\u{202e}"]) assert.ok(text.includes(part), part);
    for (const by of ["", "principal"]) {
      await page.getByLabel("List", { exact: true }).selectOption(by);
      await page.locator(by === "" ? ".found" : ".groups").waitFor();
      const made = await page.evaluate(() => ({
        elements: [...document.querySelectorAll("#page *")].map((element) => element.localName).filter((name) => ["script", "img", "iframe", "object", "embed", "base", "link", "style", "b"].includes(name)),
        handlers: [...document.querySelectorAll("#page *")].flatMap((element) => element.getAttributeNames()).filter((name) => name.startsWith("on") || name === "srcdoc" || name === "action"),
        links: [...document.querySelectorAll("#page a")].map((link) => link.getAttribute("href") ?? "").filter((address) => !address.startsWith("#")),
        pwned: globalThis.pwned,
      }));
      assert.deepEqual(made, { elements: [], handlers: [], links: [], pwned: [] });
      assert.doesNotMatch(await page.locator("#page").innerText(), /\u202e/);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await accessible(page);
      }
    }
    // Of names that are markup, the events are found.
    await page.getByText("Search its 1 event").click();
    await found(page, "1 event");
  },

  "what comes in is listed at once, and waits while somebody reads": async (page) => {
    await open(page);
    await ask("stop new-1 2024-05-08T00:00:00Z");
    await counts(page, `${total + 1} alerts`);
    await row(page, "user/new").getByText("2024-05-08 00:00:00").waitFor();
    assert.match(await rows(page).first().innerText(), /user\/new/);
    // It grows in place, also in its pane.
    await row(page, "user/new").locator("button.lead").click();
    await pane(page).getByText("Search its 1 event").waitFor();
    await ask("stop new-2 2024-05-08T00:10:00Z");
    await pane(page).getByText("Search its 2 events").waitFor({ timeout: 6_000 });
    await page.keyboard.press("Escape");
    // Somebody is choosing.
    await page.getByRole("checkbox", { name: "Choose Many of one kind, arn:aws:iam::1:user/u129" }).check();
    await ask("stop new-3 2024-05-09T00:00:00Z");
    const show = page.getByRole("button", { name: "There is something new: show it" });
    await show.waitFor();
    assert.equal(await row(page, "user/new").getByText("2024-05-09 00:00:00").count(), 0);
    await show.click();
    await row(page, "user/new").getByText("2024-05-09 00:00:00").waitFor();
    // Scrolled: it stands still, and goes on at the top.
    await page.locator("main").evaluate((main) => main.scrollTo(0, 600));
    await ask("stop new-4 2024-05-10T00:00:00Z");
    await show.waitFor();
    await page.locator("main").evaluate((main) => main.scrollTo(0, 0));
    await row(page, "user/new").getByText("2024-05-10 00:00:00").waitFor();
    // In the archive's last day, too, though the page knew another one.
    await page.goto("about:blank");
    await open(page, "1 alert", "");
    await ask("stop new-5 2024-05-11T20:00:00Z");
    await row(page, "user/new").getByText("2024-05-11 20:00:00").waitFor({ timeout: 6_000 });
  },

  "a page that cannot be seen holds no connection": async (page) => {
    const running = new Set();
    let asked = 0;
    page.on("request", (request) => {
      if (!request.url().includes("/v1/alerts")) return;
      asked += 1;
      running.add(request);
    });
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => running.delete(request));
    const polls = () => [...running].some((request) => /changes\?.*wait=[1-9]/.test(request.url()));
    const until = async (what) => {
      for (let tries = 0; tries < 100 && !what(); tries += 1) await page.waitForTimeout(50);
      assert.ok(what(), String(what));
    };
    const show = (isShown) => page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, !isShown);
    await page.goto(`${PAGE}&v=alerts&t=all`);
    await until(polls);
    await show(false);
    await until(() => running.size === 0);
    const before = asked;
    await page.waitForTimeout(2_500);
    assert.equal(asked, before);
    await show(true);
    await until(polls);
    // Nor does another view.
    await page.locator(".views").getByText("Events").click();
    await until(() => running.size === 0);
    assert.equal(await page.locator(".error").count(), 0);
  },

  "what is wrong with rules is said above the list": async (page) => {
    await page.goto(`${PAGE}&v=alerts&t=all`);
    await rows(page).first().waitFor();
    await ask("rules broken");
    await page.locator(".rules .told", { hasText: "broken<b>.yml" }).waitFor({ timeout: 45_000 });
    assert.match(await page.locator(".rules").innerText(), /1 problem in files of rules/);
    await accessible(page);
    await ask("rules mended");
  },

  "without rules the page says how to have some": async (page) => {
    await open(page, "0 alerts", "&t=all", none);
    assert.match(await page.locator(".rules").innerText(), /This daemon has no rules[\s\S]*pack = true[\s\S]*\[rules\][\s\S]*dirs = /);
    await accessible(page);
  },

  "a narrow page has room for the pane": async (page) => {
    await page.setViewportSize({ width: 700, height: 900 });
    await page.goto(`${PAGE}&v=alerts&t=all`);
    await rows(page).first().waitFor();
    await rows(page).first().locator("button.lead").click();
    await pane(page).locator(".sentence").waitFor();
    await accessible(page);
    await page.getByRole("button", { name: "Close the alert's pane" }).click();
    await pane(page).waitFor({ state: "detached" });
  },
});
