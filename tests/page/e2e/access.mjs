// Who is let in: the token, a tab that comes later, a rebound name, a daemon that goes and comes back.

import assert from "node:assert/strict";
import { URL as ADDRESS, ask, axe, found, open, run } from "./browser.mjs";

const [origin, token] = ADDRESS.split("/#token=");

await run({
  "without a token the page names the command, and goes on once another tab has it": async (page, { context, allowed }) => {
    allowed.push(/401 \(Unauthorized\)/);
    await page.goto(`${origin}/#q=eventName%3ACreateUser&t=all`);
    await page.locator(".locked", { hasText: "traildex web" }).waitFor();
    await axe(page);
    const other = await context.newPage();
    await open(other);
    await found(page, "4 events");
    assert.match(page.url(), /#q=eventName%3ACreateUser&t=all$/);
    // A pivot in a new tab.
    const third = await context.newPage();
    await third.goto(`${origin}/#q=eventName%3ADeleteTrail&t=all`);
    await found(third, "3 events");
  },

  "a wrong token is not let in": async (page, { allowed }) => {
    allowed.push(/401 \(Unauthorized\)/);
    await page.goto(`${origin}/#token=${token.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))}`);
    await page.locator(".locked").waitFor();
    assert.doesNotMatch(page.url(), /token/);
    assert.doesNotMatch(await page.content(), /bert-jan/);
  },

  "a rebound name gets nothing": async (page, { allowed }) => {
    allowed.push(/421|Cross-Origin-Opener-Policy header has been ignored/);
    const rebound = ADDRESS.replace("127.0.0.1", "evil.example");
    const answer = await page.goto(rebound);
    assert.equal(answer.status(), 421);
    assert.doesNotMatch(await page.content(), /<script/);
  },

  "a page of another origin can neither read nor write": async (page, { context, allowed }) => {
    allowed.push(/40[13]|ERR_FAILED|CORS policy|NotSameOrigin|blocked/);
    await context.route("http://other.example/**", (route) => route.fulfill({ contentType: "text/html", body: "<p>other</p>" }));
    await page.goto("http://other.example/");
    const told = await page.evaluate(async ([address, bearer]) => {
      const tries = {};
      const ask = async (name, path, how) => {
        try {
          const answer = await fetch(`${address}${path}`, how);
          tries[name] = `${answer.type} ${answer.status}`;
        } catch (error) {
          tries[name] = "failed";
        }
      };
      const authorization = { authorization: `Bearer ${bearer}` };
      await ask("read", "/v1/status", { headers: authorization });
      await ask("blind", "/v1/rebuild", { method: "POST", mode: "no-cors", body: "{}" });
      await ask("write", "/v1/saved/x", { method: "PUT", headers: authorization, body: "{}" });
      return tries;
    }, [origin, token]);
    assert.equal(told.read, "failed");
    assert.equal(told.write, "failed");
    assert.match(told.blind, /failed|opaque/);
  },

  "a daemon that goes away is waited for": async (page, { allowed }) => {
    allowed.push(/503 \(Service Unavailable\)/);
    await open(page, "t=all");
    await found(page, "2,900 events");
    await ask("stop");
    await page.locator("#query").fill("eventName:CreateUser");
    await page.locator("#query").press("Enter");
    await page.locator(".notes .error", { hasText: "does not answer" }).waitFor();
    await ask("start");
    await found(page, "4 events");
    await page.locator(".notes .error").waitFor({ state: "detached" });
  },
});
