// What the console says about a line whose device comes, goes, or accepts nothing: in Chromium, on
// the real daemon.

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { delayProxy, eventually, rfc2217Device, startGateway } from "./harness.mjs";
import { connected, consoleSuite, says } from "./harness/console.mjs";

const { skip, open } = consoleSuite();

/** A gateway with line `far` on a box, and with further lines. */
async function far(more = "") {
  const box = await rfc2217Device();
  const gateway = await startGateway({
    yaml: `endpoints:\n  far:\n    rfc2217: { address: "${box.address}" }\n${more}`,
  });
  return { box, gateway };
}

test(
  "a port that is opened on demand shows its signals, and how it is",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway } = await far("    open: on-demand\n");
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.getByRole("button", { name: "DTR on" }).waitFor();
    await page.locator("section[aria-label=Settings] select[name=baud]").waitFor();
  },
);

test(
  "what cannot be opened says why, and is not dialled again",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway } = await far("    share: exclusive\n");
    const holder = new WebSocket(`${gateway.direct.replace("http", "ws")}ws/far`, {
      origin: new URL(gateway.direct).origin,
    });
    await new Promise((done) => holder.once("open", done));
    t.after(() => holder.terminate());
    const closed = [];
    const page = await open(t, gateway.url, {
      prepare: async (prepared) =>
        prepared.on(
          "websocket",
          (socket) =>
            socket.url().endsWith("/ws/far") && socket.on("close", () => closed.push(socket.url())),
        ),
    });
    await page.goto(`${gateway.url}#/far`);
    await says(page, /^In use by anyone on this machine$/);
    await says(page, /held by .* since/);
    // Left open, it would be closed by the gateway and dialled again for ever.
    await eventually(() => closed.length === 1, "the end of the connection");
  },
);

test("bytes that went with the device are told", { skip, timeout: 60_000 }, async (t) => {
  const { box, gateway } = await far("    pacing: { byte_delay: 1s }\n");
  const page = await open(t, `${gateway.url}#/far`);
  await connected(page);
  let came = 0;
  box.on("data", (bytes) => (came += bytes.length));
  await page.keyboard.type("hello");
  // The second comes a second after the first: by then all have reached the gateway.
  await eventually(() => came === 2, "two bytes");
  await box.stop();
  await says(page, /\d bytes not sent: the device is gone\./);
});

test(
  "a file counts as sent when it is on the wire, and not when the device went before",
  { skip, timeout: 60_000 },
  async (t) => {
    const { box, gateway } = await far("    pacing: { byte_delay: 1s }\n");
    const page = await open(t, `${gateway.url}#/far`);
    await connected(page);
    await page.getByRole("tab", { name: "Files" }).click();
    await page.getByRole("combobox", { name: "Send", exact: true }).selectOption("raw");
    const first = new Promise((done) => box.once("data", done));
    const [chooser] = await Promise.all([
      page.waitForEvent("filechooser"),
      page.getByRole("button", { name: "Choose a file and send…" }).click(),
    ]);
    await chooser.setFiles([
      { name: "f.txt", mimeType: "text/plain", buffer: Buffer.from("conf t\n") },
    ]);
    await first;
    await box.stop();
    await says(page, /^The transfer ended: (the device is|\d+ bytes were not sent)/);
    assert.equal(await page.getByText(/^Sent: /).count(), 0);
  },
);

test(
  "a lost connection is told once, however often it is dialled; behind it the device is shown as it is",
  { skip, timeout: 60_000 },
  async (t) => {
    const { box, gateway } = await far();
    const proxy = await delayProxy(gateway.url);
    const page = await open(t, `${proxy.url}#/far`);
    await connected(page);
    await page.evaluate(() => {
      globalThis.told = [];
      const unseen = document.querySelectorAll("[aria-live]");
      for (const one of unseen) {
        new MutationObserver(
          () => one.textContent && globalThis.told.push(one.textContent),
        ).observe(one, { childList: true, characterData: true, subtree: true });
      }
    });
    const dialled = [];
    page.on(
      "requestfailed",
      (request) => /healthz/.test(request.url()) && dialled.push(request.url()),
    );
    proxy.refuse();
    await box.stop();
    await eventually(() => dialled.length >= 2, "two more attempts");
    proxy.heal();
    await page.locator(".trouble").filter({ hasText: "Not reachable" }).waitFor();
    const lost = await page.evaluate(
      () => globalThis.told.filter((text) => /connection to the gateway is lost/.test(text)).length,
    );
    assert.equal(lost, 1);
  },
);
