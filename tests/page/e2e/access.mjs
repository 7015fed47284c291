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

  "a link with another's token does not shut out who is let in": async (page, { allowed }) => {
    allowed.push(/401 \(Unauthorized\)/);
    await open(page, "q=eventName%3ACreateUser&t=all");
    await found(page, "4 events");
    const foreign = token.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    // In this tab, and in one that begins with it.
    await page.evaluate((hash) => (location.hash = hash), `#token=${foreign}&q=eventName%3ADeleteTrail&t=all`);
    await found(page, "3 events");
    const other = await page.context().newPage();
    await other.goto(`${origin}/#token=${foreign}&q=eventName%3ACreateUser&t=all`);
    await found(other, "4 events");
    for (const tab of [page, other]) {
      assert.doesNotMatch(tab.url(), /token/);
      assert.equal(await tab.evaluate(() => localStorage.getItem("traildex-token")), token);
    }
  },

  "a page of another origin can neither read nor write": async (page, { context, allowed }) => {
    allowed.push(/40[13]|ERR_FAILED|CORS policy|NotSameOrigin|blocked/);
    const authorization = `Bearer ${token}`;
    const json = { authorization, "content-type": "application/json" };
    const own = async (path) => (await fetch(`${origin}${path}`, { headers: { authorization } })).json();
    const before = await own("/v1/status");
    // Of another site, and of another port of the same.
    for (const other of ["https://other.example/", "http://127.0.0.1:9/"]) {
      // Chromium keeps other sites from this machine, too, until a person lets them: here the server must.
      await context.grantPermissions(["local-network-access"], { origin: other.slice(0, -1) });
      await context.route(`${other}**`, (route) => route.fulfill({ contentType: "text/html", body: "<p>other</p>" }));
      await page.goto(other);
      // What the server said, whether the browser lets the page know or not.
      const said = new Map();
      const asked = new Map();
      const devtools = await context.newCDPSession(page);
      devtools.on("Network.requestWillBeSent", ({ requestId, request }) => asked.set(requestId, `${request.method} ${new URL(request.url).pathname}`));
      devtools.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode }) => said.set(requestId, statusCode));
      await devtools.send("Network.enable");
      const told = await page.evaluate(async ([address, json]) => {
        const tries = {};
        const ask = async (name, path, how) => {
          try {
            const answer = await fetch(`${address}${path}`, how);
            tries[name] = `${answer.type} ${(await answer.text()).slice(0, 40)}`;
          } catch {
            tries[name] = "failed";
          }
        };
        await ask("read", "/v1/status", { headers: json });
        await ask("write", "/v1/saved/x", { method: "PUT", headers: json, body: '{"query":"*"}' });
        // The browser sends these without asking, and tells nothing of the answer.
        await ask("blind read", "/v1/search?q=*", { mode: "no-cors" });
        await ask("blind write", "/v1/rebuild", { method: "POST", mode: "no-cors", body: "{}" });
        return tries;
      }, [origin, json]);
      assert.deepEqual([told.read, told.write], ["failed", "failed"], other);
      // They have no token, which would be 401: that they are another site's is looked at first.
      const answered = Object.fromEntries([...asked].map(([id, what]) => [what, said.get(id)]));
      assert.deepEqual([answered["GET /v1/search"], answered["POST /v1/rebuild"]], [403, 403], other);
      await devtools.detach();
    }
    assert.deepEqual((await own("/v1/saved")).saved, {});
    assert.deepEqual((await own("/v1/status")).rebuild, before.rebuild);
    // The same with the page's own origin is let in: it is not the request that is wrong.
    const write = await fetch(`${origin}/v1/saved/x`, { method: "PUT", headers: { ...json, origin }, body: '{"query":"*"}' });
    assert.equal(write.status, 201);
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
