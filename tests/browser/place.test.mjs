// Where `webserial.js` runs and cannot ask anybody it says so: in a worker, and in another page's
// frame; in three engines. And what browsers are told of a gateway on the local network.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { question, spaceOf, towards } from "../../web/client/network.js";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";

after(stopAll);

const ASK =
  'navigator.serial.requestPort().then(() => "a port", (error) => `${error.name}: ${error.message}`)';

for (const engine of ["chromium", "firefox", "webkit"]) {
  test(
    `in another page's frame and in a worker a tool hears why it gets no port: ${engine}`,
    { skip: missing(engine), timeout: 120_000 },
    async () => {
      const [outer, inner] = [
        await servePages({ host: "127.0.0.2" }),
        await servePages({ host: "127.0.0.3" }),
      ];
      const gateway = await startGateway({
        yaml: "endpoints:\n  echo: { sim: echo }\n",
        origins: [outer.origin, inner.origin],
      });
      const script = `${gateway.direct}webserial.js`;
      inner.pages["/tool.html"] =
        `<!doctype html><title>A tool</title><script src="${script}"></script>
      <script>${ASK}.then((said) => parent.postMessage(said, "*"));</script>`;
      outer.pages["/worker.js"] =
        `importScripts("${script}"); ${ASK}.then((said) => postMessage(said));`;
      outer.pages["/page.html"] = `<!doctype html><title>A page</title><script>
      addEventListener("message", ({ data }) => (globalThis.framed = data));
      const worker = new Worker("/worker.js");
      worker.onmessage = ({ data }) => (globalThis.worked = data);
      worker.onerror = ({ message }) => (globalThis.worked = message);
      </script><iframe src="${inner.origin}/tool.html"></iframe>`;
      const page = await launch(engine);
      await page.goto(`${outer.origin}/page.html`);
      const said = (name) =>
        eventually(() => page.evaluate((of) => globalThis[of], name), name, 30_000);
      assert.match(
        await said("framed"),
        /^SecurityError: 127\.0\.0\.3:\d+ was put into a frame by a page of another origin/,
      );
      assert.match(await said("worked"), /^SecurityError: webserial\.js .* was loaded by a worker/);
      await page.stop();
    },
  );
}

test("a host's name tells its address space, and `fetch` is told where browsers know the member", () => {
  for (const host of ["localhost", "demo.localhost", "127.0.0.1", "[::1]"])
    assert.equal(spaceOf(host), "loopback", host);
  for (const host of [
    "192.168.1.7",
    "10.0.0.1",
    "172.31.0.1",
    "169.254.9.9",
    "pi.local",
    "[fd00::1]",
    "[fe80::1]",
  ])
    assert.equal(spaceOf(host), "local", host);
  for (const host of ["example.org", "172.32.0.1", "8.8.8.8", "10.example.org"])
    assert.equal(spaceOf(host), undefined, host);
  assert.deepEqual(towards("http://192.168.1.7/healthz"), {});
  Object.defineProperty(Request.prototype, "targetAddressSpace", {
    configurable: true,
    value: undefined,
  });
  try {
    assert.deepEqual(towards("http://192.168.1.7/healthz"), { targetAddressSpace: "local" });
    assert.deepEqual(towards("https://example.org/"), {});
  } finally {
    delete Request.prototype.targetAddressSpace;
  }
  assert.match(question("pi.local"), /local network/);
  assert.match(question("localhost"), /this device/);
});
