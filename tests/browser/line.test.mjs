// `Line` and `Bus` of the client library in Node, against the daemon over a network that can be
// bad.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, test } from "node:test";
import { WebSocket } from "ws";
import { Bus, Line } from "../../web/client/index.js";
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

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
const text = (bytes) => new TextDecoder().decode(bytes);
const ws = (url, name) => `${url.replace("http", "ws")}ws/${name}`;

/** A gateway that accepts Node, which sends no Origin: with a token. */
const TOKEN = "a token of the suite";
const token = `tokens:\n  suite: { sha256: "${hash(TOKEN)}", rights: { "*": [ read, write, signals, settings, takeover ] } }\n`;
const gatewayWith = (endpoints) => startGateway({ yaml: `${token}${endpoints}` });

const options = (url, name, more = {}) => ({
  url: ws(url, name),
  bearer: TOKEN,
  WebSocket,
  ...more,
});

async function connected(url, name, open = {}, more = {}) {
  const line = new Line(options(url, name, more));
  // One that is forgotten would dial for ever, and keep this process alive.
  started({ stop: async () => line.end() });
  await line.connect();
  if (open) await line.open(open);
  return line;
}

/** All bytes of a line, and a promise of the first `count` of them. */
function collect(line) {
  const chunks = [];
  let length = 0;
  let at;
  let wake = () => {};
  line.addEventListener("data", ({ detail }) => {
    if (at !== undefined) assert.equal(detail.at, at, "the offset goes on where it was");
    at = detail.at + detail.bytes.length;
    chunks.push(detail.bytes);
    length += detail.bytes.length;
    wake();
  });
  return {
    async first(count) {
      while (length < count) await new Promise((done) => (wake = done));
      return Buffer.concat(chunks).subarray(0, count);
    },
    get length() {
      return length;
    },
  };
}

/** How far the gateway has read an endpoint's device, as somebody else sees it who reads along. */
async function watcher(url, name) {
  const line = await connected(url, name, { role: "observer" });
  let reached = 0;
  line.addEventListener("data", ({ detail }) => (reached = detail.at + detail.bytes.length));
  return () => reached;
}

const once = (target, type) =>
  new Promise((done) =>
    target.addEventListener(type, ({ detail }) => done(detail), { once: true }),
  );

test("a line says hello, opens, and carries bytes both ways", { timeout: 20000 }, async () => {
  const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo, title: Echo }\n");
  const line = new Line(options(gateway.direct, "echo"));
  assert.equal(line.state, "idle");
  const hello = await line.connect();
  assert.equal(hello.endpoint.title, "Echo");
  assert.equal(line.state, "up");
  const opened = await line.open({ role: "writer", config: { baud: 115200 } });
  assert.equal(opened.role, "writer");
  assert.equal(line.opened.config.baud, 115200);
  const heard = collect(line);
  await line.write("text ");
  await line.write(new TextEncoder().encode("and bytes"));
  assert.equal(text(await heard.first(14)), "text and bytes");
  const answer = await line.get();
  assert.equal(answer.tx, 14);
  assert.equal(answer.config.baud, 115200);
  await assert.rejects(line.macro("none"), { name: "LineError", code: "unsupported" });
  await line.close();
  await assert.rejects(line.write("x"), { code: "not_open" });
  const closed = once(line, "closed");
  line.end();
  assert.deepEqual(await closed, { code: 1000, reason: "ended by this side", final: true });
});

test(
  "3 MB each way over a slow connection that breaks nine times arrive once and in order",
  { timeout: 60000 },
  async () => {
    const echo = await echoDevice();
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${echo.address}" } }\n`,
    );
    const proxy = await delayProxy(gateway.direct, { delay: 1, jitter: 2 });
    const line = await connected(proxy.url, "far", { window: 1 << 18 });
    const heard = collect(line);
    const resumed = [];
    let cuts = 0;
    const next = () => {
      cuts += 1;
      if (cuts <= 9)
        proxy.cutAfter(
          cuts % 3 === 0 ? { down: 60000 + cuts * 777 } : { up: 100000 + cuts * 13337 },
        );
    };
    line.addEventListener("resumed", ({ detail }) => {
      resumed.push(detail);
      next();
    });
    const sent = randomBytes(3 << 20);
    next();
    for (let at = 0; at < sent.length; at += 50000) await line.write(sent.subarray(at, at + 50000));
    assert.equal(hash(await heard.first(sent.length)), hash(sent));
    assert.equal(resumed.length, 9);
    assert.ok(resumed.every(({ gap, downFor }) => gap === null && downFor >= 0));
    line.end();
  },
);

test(
  "what was written while the connection is away goes out when it is back",
  { timeout: 20000 },
  async () => {
    const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo }\n");
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "echo");
    const heard = collect(line);
    const lost = once(line, "lost");
    proxy.refuse();
    assert.equal((await lost).code, 1006);
    assert.equal(line.state, "lost");
    const written = line.write("later");
    const settled = line.config({ baud: 57600 });
    const got = line.get();
    proxy.heal();
    await written;
    await settled;
    assert.equal(
      (await got).config.baud === 57600 || (await line.get()).config.baud === 57600,
      true,
    );
    assert.equal(text(await heard.first(5)), "later");
    line.end();
  },
);

test(
  "a request whose answer is lost with the connection fails, and says so",
  { timeout: 20000 },
  async () => {
    const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo }\n");
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "echo");
    proxy.freeze();
    const asked = line.get();
    asked.catch(() => {});
    proxy.cut();
    await assert.rejects(asked, { code: "lost" });
    proxy.heal();
    await once(line, "resumed");
    assert.equal((await line.get()).tx, 0);
    line.end();
  },
);

test(
  "a reader that is too slow is told of the gap, and goes on behind it",
  { timeout: 20000 },
  async () => {
    let device;
    const source = await tcpDevice((socket) => (device = socket));
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${source.address}" }, share: one-writer, history: 16KiB }\n`,
    );
    const line = await connected(gateway.direct, "far", { window: 4096 }, { autoAck: false });
    const reached = await watcher(gateway.direct, "far");
    let length = 0;
    line.addEventListener("data", ({ detail }) => (length += detail.bytes.length));
    await eventually(() => device, "the connection to the device");
    const told = once(line, "gap");
    device.write(Buffer.alloc(4096, "x"));
    await eventually(() => length === 4096, "a window");
    device.write(Buffer.alloc(300000 - 4096, "x"));
    await eventually(() => reached() === 300000, "the gateway has read the device");
    line.addEventListener("data", ({ detail }) => line.consumed(detail.bytes.length));
    line.consumed(4096);
    const gap = await told;
    assert.equal(gap.from, 4096);
    assert.ok(gap.to > 300000 - 17000 && gap.to <= 300000, `goes on at ${gap.to}`);
    await eventually(() => length === 300000 - (gap.to - gap.from), "the rest");
    line.end();
  },
);

test(
  "a gap that fell into the time without connection is told with the resume",
  { timeout: 20000 },
  async () => {
    let device;
    const source = await tcpDevice((socket) => (device = socket));
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${source.address}" }, share: one-writer, history: 16KiB }\n`,
    );
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "far");
    const reached = await watcher(gateway.direct, "far");
    const lost = once(line, "lost");
    proxy.refuse();
    await lost;
    await eventually(() => device, "the connection to the device");
    device.write(Buffer.alloc(100000, "y"));
    await eventually(() => reached() === 100000, "the gateway has read the device");
    const resumed = once(line, "resumed");
    proxy.heal();
    const { gap } = await resumed;
    assert.equal(gap.from, 0);
    assert.ok(gap.to > 80000);
    line.end();
  },
);

test(
  "a session that expired is replaced: what the device said meanwhile is there, and the application is told",
  { timeout: 30000 },
  async () => {
    let device;
    const source = await tcpDevice((socket) => (device = socket));
    const gateway = await startGateway({
      yaml: `resume: 0s\n${token}endpoints:\n  far: { tcp: { address: "${source.address}" }, share: one-writer, open: always }\n`,
    });
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "far");
    const heard = collect(line);
    await eventually(() => device, "the connection to the device");
    device.write("before ");
    await heard.first(7);
    const lost = once(line, "lost");
    proxy.refuse();
    await lost;
    device.write("meanwhile");
    const gone = once(line, "gone");
    proxy.heal();
    const { opened, reason } = await gone;
    assert.equal(opened.role, "writer");
    assert.equal(opened, line.opened);
    assert.match(reason, /\w/);
    assert.equal(text(await heard.first(16)), "before meanwhile");
    await line.write("on");
    line.end();
  },
);

test("with reopen: false an expired session stays closed", { timeout: 20000 }, async () => {
  const gateway = await startGateway({
    yaml: `resume: 0s\n${token}endpoints:\n  echo: { sim: echo }\n`,
  });
  const proxy = await delayProxy(gateway.direct);
  const line = await connected(proxy.url, "echo", {}, { reopen: false });
  const gone = once(line, "gone");
  proxy.cut();
  assert.equal((await gone).opened, undefined);
  await assert.rejects(line.write("x"), { code: "not_open" });
  assert.equal((await line.open()).role, "writer");
  line.end();
});

test(
  "the lease is taken over, asked for and granted; everyone is told",
  { timeout: 20000 },
  async () => {
    const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo }\n");
    const anna = await connected(gateway.direct, "echo");
    await assert.rejects(connected(gateway.direct, "echo", { role: "writer" }), { code: "busy" });
    const bob = await connected(gateway.direct, "echo", { role: "auto" });
    assert.equal(bob.opened.role, "observer");
    const told = new Promise((done) =>
      anna.addEventListener("lease", ({ detail }) => detail.reason === "taken" && done(detail)),
    );
    await bob.lease("take");
    assert.equal((await told).you, "observer");
    await eventually(
      () => bob.opened.role === "writer" && anna.opened.role === "observer",
      "both know it",
    );
    const refused = once(anna, "error");
    await anna.write("nobody hears this");
    assert.deepEqual(Object.keys(await refused).sort(), ["bytes", "code", "message"]);
    const asked = new Promise((done) =>
      bob.addEventListener("lease", ({ detail }) => detail.request && done(detail.request)),
    );
    const granted = anna.lease("request");
    assert.equal((await asked).user, "suite");
    await bob.lease("grant");
    await granted;
    await eventually(() => anna.opened.role === "writer", "the grant");
    anna.end();
    bob.end();
  },
);

test(
  "settings, DTR, RTS, break and data reach the port in the order they were asked for",
  { timeout: 20000 },
  async () => {
    const port = await rfc2217Device();
    const gateway = await gatewayWith(
      `endpoints:\n  port: { rfc2217: { address: "${port.address}" } }\n`,
    );
    await eventually(() => gateway.log().includes("device open"), "the port is open");
    const line = await connected(gateway.direct, "port");
    const seen = [];
    port.on("data", (bytes) => seen.push(...String(bytes)));
    port.on("lines", ({ dtr, rts, break: b }) =>
      seen.push(`${dtr ? "D" : "d"}${rts ? "R" : "r"}${b ? "B" : "b"}`),
    );
    port.on("settings", ({ baud }) => baud === 460800 && seen.at(-1) !== baud && seen.push(baud));
    await line.signals([{ dtr: true, rts: false }]);
    await eventually(() => seen.includes("Drb"), "the first change");
    seen.length = 0;
    void line.write("a");
    void line.signals([
      { dtr: false, rts: true, ms: 5 },
      { dtr: true, rts: false },
    ]);
    void line.write("b");
    void line.config({ baud: 460800 });
    void line.write("c");
    await line.sendBreak(10);
    // RFC 2217 has no word for an idle wire: the answer comes when all has been handed on.
    await assert.rejects(line.drain(), { code: "unsupported" });
    await eventually(() => seen.at(-1) === "Drb", "the end of the break");
    assert.deepEqual(seen, ["a", "dRb", "Drb", "b", 460800, "c", "DrB", "Drb"]);
    const told = once(line, "signals");
    port.modem({ cts: false, dcd: true });
    assert.equal((await told).cts, false);
    assert.deepEqual((await line.get()).outputs, { dtr: true, rts: false, break: false });
    line.end();
  },
);

test(
  "a box that is gone for a moment gets the session's settings again, at once",
  { timeout: 20000 },
  async () => {
    const port = await rfc2217Device();
    const gateway = await gatewayWith(
      `endpoints:\n  far:\n    rfc2217: { address: "${port.address}", baud: 9600 }\n`,
    );
    const line = await connected(gateway.direct, "far", {
      config: { baud: 115200, parity: "even" },
    });
    await eventually(() => port.settings.baud === 115200, "the speed");
    const [down, up] = ["down", "up"].map(
      (state) =>
        new Promise((done) =>
          line.addEventListener("status", ({ detail }) => detail.state === state && done()),
        ),
    );
    port.unplug();
    await down;
    // What the box has forgotten.
    Object.assign(port.settings, { baud: 9600, parity: 1 });
    await up;
    assert.deepEqual([port.settings.baud, port.settings.parity], [115200, 3]);
    assert.doesNotMatch(gateway.log(), /settings not set again/);
    line.end();
  },
);

test(
  "flush drops what the line had received, and data go on behind it",
  { timeout: 20000 },
  async () => {
    let device;
    const source = await tcpDevice((socket) => (device = socket));
    const gateway = await gatewayWith(
      `endpoints:\n  far: { tcp: { address: "${source.address}" }, share: one-writer }\n`,
    );
    const line = await connected(gateway.direct, "far", { window: 4096 }, { autoAck: false });
    const reached = await watcher(gateway.direct, "far");
    let heard = "";
    line.addEventListener("data", ({ detail }) => {
      heard += text(detail.bytes);
      if (heard.length > 4096) line.consumed(detail.bytes.length);
    });
    await eventually(() => device, "the connection");
    device.write("o".repeat(20000));
    await eventually(() => heard.length === 4096, "a window");
    await eventually(() => reached() === 20000, "the gateway has it");
    await line.flush({ rx: true });
    device.write("new");
    await eventually(() => heard.endsWith("new"), "new bytes");
    assert.equal(heard.length, 4099);
    line.end();
  },
);

test(
  "an endpoint that was removed is final, and is not dialled again",
  { timeout: 20000 },
  async () => {
    const gateway = await gatewayWith(
      "endpoints:\n  echo: { sim: echo }\n  other: { sim: echo }\n",
    );
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "echo");
    const closed = once(line, "closed");
    await gateway.reload((yaml) => yaml.replace("  echo: { sim: echo }\n", ""));
    assert.equal((await closed).code, 4404);
    assert.equal(line.state, "closed");
    const { connections } = proxy.state;
    await new Promise((done) => setTimeout(done, 1500));
    assert.equal(proxy.state.connections, connections);
  },
);

test(
  "a connection that is silent is noticed, and another one takes its place",
  { timeout: 40000 },
  async () => {
    const gateway = await startGateway({
      yaml: `dead_after: 5s\n${token}endpoints:\n  echo: { sim: echo }\n`,
    });
    const proxy = await delayProxy(gateway.direct);
    const line = await connected(proxy.url, "echo");
    const lost = once(line, "lost");
    proxy.freeze();
    assert.match((await lost).reason, /no sign of life/);
    const resumed = once(line, "resumed");
    proxy.cut();
    proxy.heal();
    await resumed;
    line.end();
  },
);

test(
  "what cannot work says why: a wrong token, a name that is none, nobody there",
  { timeout: 20000 },
  async () => {
    const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo }\n");
    const failing = (more) => new Line({ ...options(gateway.direct, "echo"), ...more }).connect();
    await assert.rejects(failing({ bearer: "wrong" }), {
      name: "LineError",
      code: "unreachable",
      message: /401/,
    });
    await assert.rejects(failing({ url: ws(gateway.direct, "none") }), { message: /404|403/ });
    await assert.rejects(failing({ url: "ws://127.0.0.1:1/ws/echo" }), {
      code: "unreachable",
      message: /ECONNREFUSED/,
    });
    assert.throws(() => new Line({}), /wss:\/\/gateway\/ws\/NAME/);
  },
);

test("the bus tells which endpoints there are, and what changes", { timeout: 20000 }, async () => {
  const gateway = await gatewayWith("endpoints:\n  echo: { sim: echo }\n");
  const proxy = await delayProxy(gateway.direct);
  const bus = new Bus(options(proxy.url, ""));
  await bus.connect();
  assert.equal(bus.endpoints.get("echo").writer, null);
  const line = await connected(gateway.direct, "echo");
  await eventually(() => bus.endpoints.get("echo").writer?.user === "suite", "the writer is told");
  line.end();
  await eventually(() => bus.endpoints.get("echo").writer === null, "that it is free again");
  const lost = once(bus, "lost");
  const changed = new Promise((done) =>
    bus.addEventListener("lost", () => bus.addEventListener("change", done, { once: true })),
  );
  proxy.cut();
  await lost;
  await changed;
  await gateway.reload((yaml) => `${yaml}  more: { sim: modem }\n`);
  await eventually(() => bus.endpoints.has("more"), "a new endpoint");
  bus.close();
  assert.equal(bus.state, "closed");
});
