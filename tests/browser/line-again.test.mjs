// How `Line` comes back, and what it knows of a device that it did not know before: in Node,
// against the daemon.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { WebSocket } from "ws";
import { Line } from "../../web/client/index.js";
import {
  delayProxy,
  echoDevice,
  eventually,
  rfc2217Device,
  startGateway,
  started,
  stopAll,
  tcpDevice,
} from "./harness.mjs";

after(stopAll);

const TOKEN = "a token of the suite";
const sha256 = createHash("sha256").update(TOKEN).digest("hex");
const gatewayWith = (endpoints) =>
  startGateway({
    yaml: `tokens:\n  suite: { sha256: "${sha256}", rights: { "*": [ read, write, signals, settings, takeover ] } }\n${endpoints}`,
  });

function newLine(url, name, more = {}) {
  const line = new Line({
    url: `${url.replace("http", "ws")}ws/${name}`,
    bearer: TOKEN,
    WebSocket,
    ...more,
  });
  started({ stop: async () => line.end() });
  return line;
}

const once = (target, type) =>
  new Promise((done) =>
    target.addEventListener(type, ({ detail }) => done(detail), { once: true }),
  );

test(
  "a target that resets each connection is dialled with growing pauses",
  { timeout: 30_000 },
  async () => {
    const target = await tcpDevice((socket) => socket.resetAndDestroy());
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${target.address}" } }\n`,
    );
    const line = newLine(gateway.direct, "far");
    const pauses = [];
    const third = new Promise((done) => {
      line.addEventListener("lost", ({ detail }) => pauses.push(detail.retryIn) === 3 && done());
      line.addEventListener("closed", done);
    });
    await line.connect();
    await line.open().catch(() => {});
    await third;
    assert.equal(pauses.length, 3, "it is dialled again");
    assert.ok(pauses[0] < 100 && pauses[1] >= 750 && pauses[2] >= 1500, `${pauses}`);
  },
);

test(
  "what a device can do is known when it is open, also when nobody had opened it before",
  { timeout: 20_000 },
  async () => {
    const port = await rfc2217Device();
    const gateway = await gatewayWith(
      `endpoints:\n  far:\n    rfc2217: { address: "${port.address}" }\n    open: on-demand\n`,
    );
    const line = newLine(gateway.direct, "far");
    const { endpoint } = await line.connect();
    assert.deepEqual([endpoint.state, endpoint.caps.includes("dtr")], ["closed", false]);
    const status = once(line, "status");
    await line.open();
    assert.equal((await status).state, "up");
    assert.deepEqual(
      [line.hello.endpoint.state, line.hello.endpoint.caps.includes("dtr")],
      ["up", true],
    );
  },
);

test(
  "a connection that breaks while the successor of a lost session is opened costs that one no more than time",
  { timeout: 20_000 },
  async () => {
    const echo = await echoDevice();
    const gateway = await gatewayWith(
      `resume: 0s\nendpoints:\n  far: { tcp: { address: "${echo.address}" } }\n`,
    );
    const proxy = await delayProxy(gateway.direct, { delay: 20 });
    let opens = 0;
    // Breaks when the second `open` is on its way, and its answer is not.
    class Breaking extends WebSocket {
      send(data, ...rest) {
        super.send(data, ...rest);
        if (typeof data === "string" && JSON.parse(data).type === "open" && (opens += 1) === 2)
          setImmediate(() => proxy.cut());
      }
    }
    const line = newLine(proxy.url, "far", { WebSocket: Breaking });
    await line.connect();
    await line.open();
    const gone = once(line, "gone");
    proxy.cut();
    assert.ok((await gone).opened, "a successor");
    assert.equal(opens, 3);
    const back = once(line, "data");
    await line.write("on");
    assert.equal(new TextDecoder().decode((await back).bytes), "on");
  },
);

test("an end while it is dialled fails connect() at once", { timeout: 10_000 }, async () => {
  const deaf = await tcpDevice(() => {});
  const line = newLine(`http://${deaf.address}/`, "far");
  const failed = assert.rejects(line.connect(), { code: "closed" });
  await eventually(() => deaf.sockets.size > 0, "the connection");
  line.end();
  await failed;
  assert.equal(line.state, "closed");
});
