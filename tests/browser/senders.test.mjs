// Other people's clients send to a slow device and close at once, with their defaults: everything
// arrives, however long they wait for the answer (Python's `websockets` 10 s, Firefox 20 s, Node's
// `ws` 30 s, Chromium 60 s).

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { eventually, launch, missing, servePages, startGateway, stopAll } from "./harness.mjs";

after(stopAll);

const BYTES = 300_000;
/** Bytes a second of each connection: longer than two of the clients wait. */
const RATE = 12_000;

const pythonMissing = () => {
  try {
    execFileSync("python3", ["-c", "import websockets.sync.client"], { stdio: "ignore" });
    return false;
  } catch {
    return "python3 without `websockets`";
  }
};

const inPage = (url, byte, bytes) =>
  new Promise((done, fail) => {
    const socket = new WebSocket(url, ["binary"]);
    socket.onerror = () => fail(new Error("no connection"));
    socket.onopen = () => {
      socket.send(new Uint8Array(bytes).fill(byte));
      socket.close();
      done(true);
    };
  });

const python = `
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], compression=None) as socket:
    socket.send(bytes([int(sys.argv[2])]) * int(sys.argv[3]))
`;

test(
  "what clients send that close at once arrives behind a slow device, and the log says so",
  { timeout: 180_000 },
  async (t) => {
    const script = fileURLToPath(new URL("../peers/slow_device.py", import.meta.url));
    const device = spawn("python3", [script, String(RATE)], { stdio: ["pipe", "pipe", "inherit"] });
    after(() => device.kill());
    const told = [];
    const port = await new Promise((done) => {
      createInterface({ input: device.stdout }).on("line", (line) => {
        const [word, number] = line.split(" ");
        if (word === "listening") done(number);
        else told.push(line);
      });
    });
    const pages = await servePages();
    const gateway = await startGateway({
      yaml: `endpoints:\n  slow:\n    tcp: { address: "127.0.0.1:${port}" }\n`,
      origins: [pages.origin],
    });
    const url = `${gateway.direct.replace("http", "ws")}ws/slow`;
    pages.pages["/empty.html"] = "<!doctype html><title>sender</title>";

    const senders = [];
    const begin = (name, byte, why, send) => {
      if (why) t.diagnostic(`left out: ${name}: ${why}`);
      else senders.push({ name, byte, sent: send(byte) });
    };
    for (const [engine, byte] of [
      ["chromium", 67],
      ["firefox", 70],
      ["webkit", 87],
    ]) {
      begin(engine, byte, missing(engine), async () => {
        const page = await launch(engine);
        await page.goto(`${pages.url}empty.html`);
        assert.equal(await page.evaluate(inPage, url, byte, BYTES), true);
      });
    }
    begin("node", 78, false, async () => {
      const socket = new WebSocket(url);
      await new Promise((done, fail) => socket.once("open", done).once("error", fail));
      socket.send(new Uint8Array(BYTES).fill(78));
      socket.close();
    });
    begin("python", 80, pythonMissing(), async () => {
      const child = spawn("python3", ["-c", python, url, "80", String(BYTES)], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      await new Promise((done) => child.once("close", done));
    });
    assert.ok(senders.length >= 2, "some client sends");
    await Promise.all(senders.map(({ sent }) => sent));

    const wanted = senders.map(({ byte }) => `${byte} ${BYTES} True`).sort();
    const all = await eventually(
      () => (told.length >= wanted.length ? [...told].sort() : ""),
      "everything at the device",
      90_000,
    );
    assert.deepEqual(all, wanted);
    const closed = () =>
      gateway
        .log()
        .split("\n")
        .filter((line) => line.includes("session closed"));
    const lines = await eventually(
      () => (closed().length >= wanted.length ? closed() : ""),
      "the log",
      30_000,
    );
    for (const line of lines)
      assert.match(line, new RegExp(`to_target=${BYTES} .*lost_to_target=0 `));
    await gateway.stop();
  },
);
