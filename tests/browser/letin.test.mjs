// A tool of another origin that somebody lets in: no token in its markup, the gateway's own window
// asks, in three engines.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";
import { PASSWORD, users } from "./harness/console.mjs";
import { forward } from "./harness/pages.mjs";
import { freePort } from "../proxies/proxy.mjs";

const pictures = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
mkdirSync(pictures, { recursive: true });
after(stopAll);

const tool = (
  gateway,
  attributes = "",
) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A tool</title>
<script src="${gateway}webserial.js" ${attributes}></script></head><body><h1>A tool</h1></body></html>`;

/** A gateway with users, two lines, and a tool elsewhere. */
async function setUp(t, engine, options) {
  const pages = await servePages({ host: "127.0.0.2" });
  const gateway = await startGateway({
    yaml: `${users()}endpoints:\n  echo: { sim: echo, title: An echo }\n  other: { sim: echo }\n`,
    origins: [pages.origin],
  });
  pages.pages["/tool.html"] = tool(gateway.direct, 'data-endpoints="echo"');
  pages.pages["/picker.html"] = tool(gateway.direct);
  const page = await launch(engine, options);
  t.after(async () => {
    for (const one of [page, gateway, pages]) await one.stop();
  });
  return { page, gateway, pages };
}

const text = (page) => page.evaluate(() => document.body.innerText);
const dialog = (page) =>
  page.evaluate(
    () =>
      document.querySelector("wsbridge-port-picker")?.shadowRoot.querySelector("dialog")
        .innerText ?? "",
  );

/** Asks for a port in the page, without waiting for it. */
const request = (page) =>
  page.evaluate(() => {
    globalThis.outcome = undefined;
    navigator.serial.requestPort().then(
      (port) => ((globalThis.port = port), (globalThis.outcome = port.endpoint)),
      (error) => (globalThis.outcome = `${error.name}: ${error.message}`),
    );
  });
const outcome = (page) => eventually(() => page.evaluate(() => globalThis.outcome), "an outcome");

/** What is written to the port, as it comes back. */
const echoed = (page) =>
  page.evaluate(async () => {
    await globalThis.port.open({ baudRate: 9600 });
    const writer = globalThis.port.writable.getWriter();
    await writer.write(new TextEncoder().encode("ping"));
    const reader = globalThis.port.readable.getReader();
    let text = "";
    while (text.length < 4) text += new TextDecoder().decode((await reader.read()).value);
    writer.releaseLock();
    reader.releaseLock();
    await globalThis.port.close();
    return text;
  });

/** Types name and password into the gateway's window. */
async function signIn(window, user, password) {
  await eventually(
    () => window.evaluate(() => document.querySelector("input[name=username]") !== null),
    "the sign-in",
  );
  await window.evaluate(
    (name, word) => {
      document.querySelector("input[name=username]").value = name;
      document.querySelector("input[name=password]").value = word;
      document.querySelector("form").requestSubmit();
    },
    user,
    password,
  );
}

const question = (window) =>
  eventually(async () => /Let this page use lines/.test(await text(window)), "the question");
const allowed = (window) =>
  eventually(
    () => window.evaluate(() => document.querySelector("button.primary")?.disabled === false),
    "a button that takes a click",
  );

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `the gateway's window asks who is signed in, names page and lines, and lets it in: ${engine}`,
    { skip: missing(engine), timeout: 120_000 },
    async (t) => {
      const { page, gateway, pages } = await setUp(t, engine);
      await page.goto(`${pages.url}tool.html`);
      await request(page);
      await eventually(
        async () => /wants to know who you are/.test(await dialog(page)),
        "the offer",
      );
      // A headless Firefox does not give its window the keyboard.
      const press =
        engine === "firefox"
          ? () => page.click("wsbridge-port-picker >>> .enter .go")
          : () => page.keys("{Enter}");
      const window = await page.popup(press);
      await eventually(
        async () => (await text(window)).includes(pages.origin),
        "who asks, before the sign-in",
      );
      await signIn(window, "alice", PASSWORD);
      await question(window);
      const said = await text(window);
      assert.ok(
        said.includes(pages.origin) && said.includes("An echo") && !said.includes("other"),
        said,
      );
      assert.match(said, /what you may \(alice\)/);
      await allowed(window);
      await window.click("button.primary");
      assert.equal(await outcome(page), "echo");
      assert.equal(await echoed(page), "ping");
      assert.match(gateway.log(), /page let in/);
      // Loaded again it needs no window; at another tab's origin the pass is worth nothing, and the
      // address has none.
      await page.goto(`${pages.url}tool.html?again`);
      await request(page);
      assert.equal(await outcome(page), "echo");
      assert.equal(await page.evaluate(() => location.hash + document.cookie), "");
      // A launch ticket in the address lets a page in without a question; what else stands there
      // stays.
      await page.goto(`${pages.url}tool.html?another`);
      await page.evaluate(() => sessionStorage.clear());
      await page.goto(gateway.direct);
      const ticket = await page.evaluate(async (origin) => {
        const body = JSON.stringify({ endpoints: ["echo"], origin });
        const answer = await fetch("/api/ticket", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        return (await answer.json()).ticket;
      }, pages.origin);
      await page.goto(`${pages.url}tool.html?launched#x=1&wsbridge-ticket=${ticket}`);
      await request(page);
      assert.equal(await outcome(page), "echo");
      assert.equal(await page.evaluate(() => location.hash), "#x=1");
    },
  );
}

test(
  "a gateway below a path of its host: the script finds everything below that path, from its own address",
  { skip: missing("chromium"), timeout: 90_000 },
  async (t) => {
    const pages = await servePages({ host: "127.0.0.2" });
    const port = await freePort();
    const gateway = await startGateway({
      yaml: `listen:\n  - { address: "127.0.0.1:${port}", tls: none }\npublic: http://127.0.0.1:${port}/serial/
${users()}endpoints:\n  echo: { sim: echo, title: An echo }\n  other: { sim: echo }\n`,
      origins: [pages.origin],
    });
    // The proxy in front of it has other things at the top.
    const way = await servePages({
      pages: { "/": "<!doctype html><title>Something else</title>" },
      otherwise: below("/serial/", forward(gateway.direct)),
    });
    pages.pages["/tool.html"] = tool(`${way.url}serial/`, 'data-endpoints="echo"');
    const page = await launch("chromium");
    t.after(async () => {
      for (const one of [page, way, gateway, pages]) await one.stop();
    });
    await page.goto(`${pages.url}tool.html`);
    await request(page);
    await eventually(async () => /wants to know who you are/.test(await dialog(page)), "the offer");
    const window = await page.popup(() => page.keys("{Enter}"));
    await eventually(
      async () => (await text(window)).includes(pages.origin),
      "who asks, before the sign-in",
    );
    assert.equal(
      await window.evaluate(() => location.pathname),
      "/serial/grant",
      "the window is below the path",
    );
    await signIn(window, "alice", PASSWORD);
    await question(window);
    await allowed(window);
    await window.click("button.primary");
    assert.equal(await outcome(page), "echo");
    assert.equal(await echoed(page), "ping");
  },
);

/** A proxy's way to what is below `prefix`; all else is not there. */
function below(prefix, on) {
  return {
    request: (incoming, outgoing) =>
      incoming.url.startsWith(prefix)
        ? on.request(incoming, outgoing)
        : outgoing.writeHead(404).end("not below the path"),
    upgrade: (incoming, socket, head) =>
      incoming.url.startsWith(prefix) ? on.upgrade(incoming, socket, head) : socket.destroy(),
  };
}

test(
  "who names no line has the user choose; no is no, and an unlisted page is not asked for a password",
  { skip: missing("chromium"), timeout: 90_000 },
  async (t) => {
    const { page, gateway, pages } = await setUp(t, "chromium");
    await page.goto(`${pages.url}picker.html`);
    await request(page);
    await eventually(async () => /wants to know who you are/.test(await dialog(page)), "the offer");
    await page.playwright.screenshot({ path: `${pictures}letin-tool.png` });
    const first = await page.popup(() => page.keys("{Enter}"));
    await first.playwright.setViewportSize({ width: 480, height: 720 });
    await eventually(async () => (await text(first)).includes(pages.origin), "who asks");
    await first.playwright.screenshot({ path: `${pictures}letin-signin.png` });
    await signIn(first, "alice", PASSWORD);
    await question(first);
    await first.playwright.screenshot({ path: `${pictures}letin-question.png` });
    assert.ok(
      await first.evaluate(() => document.querySelector("button.primary").disabled),
      "nothing is chosen for the user",
    );
    await first.playwright.getByRole("button", { name: "Deny" }).click();
    await eventually(async () => /the answer was no/.test(await dialog(page)), "the answer");

    const second = await page.popup(() => page.keys("{Enter}"));
    await question(second);
    await second.playwright.getByLabel(/^other/).check();
    await allowed(second);
    await second.playwright.getByRole("button", { name: "Allow" }).click();
    await eventually(async () => /other/.test(await dialog(page)), "the list");
    assert.doesNotMatch(await dialog(page), /An echo/);
    await page.keys("{Space}{Enter}");
    assert.equal(await outcome(page), "other");
    assert.equal(await echoed(page), "ping");

    // Not in the list of the configuration: told so, and no window is offered.
    const beside = await servePages({ host: "127.0.0.3", pages: { "/": tool(gateway.direct) } });
    t.after(() => beside.stop());
    await page.goto(beside.url);
    await request(page);
    await eventually(
      async () => /pages of other origins have to be named/.test(await dialog(page)),
      "the reason",
    );
    assert.doesNotMatch(await dialog(page), /Sign in at the gateway/);
    // And who opens the window by itself has nobody to let in.
    await page.goto(`${gateway.direct}grant`);
    await eventually(async () => /none has opened it/.test(await text(page)), "nothing to decide");
  },
);
