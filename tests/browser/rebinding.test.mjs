// DNS rebinding, played in Chromium: a page whose name has been led to the gateway on loopback.

import assert from "node:assert/strict";
import { hostname } from "node:os";
import { after, test } from "node:test";
import { eventually, launch, missing, startGateway, stopAll } from "./harness.mjs";

const skip = missing("chromium");
after(stopAll);

/** What the page sees of a WebSocket at its own origin. */
const attack = () =>
  new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/ws/echo`);
    socket.onopen = () => socket.send("written by a stranger's page");
    socket.onmessage = () => done("the device answered");
    socket.onclose = ({ code }) => done(`closed ${code}`);
  });

test(
  "a page of a name like ours that any machine of the link may take writes nothing to a device",
  { skip, timeout: 60_000 },
  async () => {
    const gateway = await startGateway({ yaml: "endpoints:\n  echo: { sim: echo }\n" });
    const own = hostname().split(".")[0].toLowerCase();
    const names = [`${own}-77.local`, `${own}.local`, `wsbridge-${own}.local`];
    const rules = names.map((name) => `MAP ${name} 127.0.0.1`).join(", ");
    // A newer Chromium would itself keep such a page from loopback; the others would not, so ours
    // must.
    const off = "LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets";
    const browser = await launch("chromium", {
      args: [`--host-resolver-rules=${rules}`, `--disable-features=${off}`],
    });
    const { port } = new URL(gateway.direct);
    const visit = async (host) => {
      // What the name's owner served before it was led here.
      const page = browser.playwright;
      await page.route(`http://${host}:${port}/attack`, (route) =>
        route.fulfill({ contentType: "text/html", body: "<!doctype html>" }),
      );
      await page.goto(`http://${host}:${port}/attack`);
      return page.evaluate(attack);
    };
    for (const name of names) assert.equal(await visit(name), "closed 1006", name);
    await eventually(
      () => /refused.*status=421|status=421.*refused/.test(gateway.log()),
      "the refusal",
    );
    assert.ok(!/session opened/.test(gateway.log()), gateway.log());
    // The same page at a name that is ours is let in: the attack above is one.
    assert.equal(await visit("localhost"), "the device answered");
  },
);
