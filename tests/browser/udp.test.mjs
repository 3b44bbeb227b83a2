// `Line` of the client library in Node on a `udp` endpoint: each write is a datagram.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, test } from "node:test";
import { WebSocket } from "ws";
import { Line } from "../../web/client/index.js";
import { Resend } from "../../web/client/resend.js";
import { eventually, startGateway, started, stopAll } from "./harness.mjs";

after(stopAll);

/** A device that keeps what comes, and knows who sent it. */
async function udpDevice() {
  const socket = createSocket("udp4");
  const got = [];
  let gateway;
  socket.on("message", (bytes, from) => {
    got.push(new Uint8Array(bytes));
    gateway = from;
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return started({
    address: `127.0.0.1:${socket.address().port}`,
    got,
    say: (bytes) => socket.send(bytes, gateway.port, gateway.address),
    stop: () => socket.close(),
  });
}

test("each write is one datagram and each datagram one event, empty ones too", async () => {
  const device = await udpDevice();
  const { url } = await startGateway({
    yaml: `endpoints:\n  boat: { udp: { address: "${device.address}" } }\n`,
  });
  const line = new Line({ url: `${url.replace("http", "ws")}ws/boat`, WebSocket });
  started({ stop: () => line.end() });
  const heard = [];
  line.addEventListener("data", ({ detail }) => heard.push(new TextDecoder().decode(detail.bytes)));
  const { endpoint } = await line.connect();
  assert.equal(endpoint.kind, "udp");
  await line.open();
  const sent = [new Uint8Array(3), new Uint8Array(40_000).fill(7), new Uint8Array(0)];
  for (const bytes of sent) await line.write(bytes);
  await eventually(() => device.got.length === sent.length, "the datagrams");
  for (const [at, bytes] of sent.entries())
    assert.ok(Buffer.compare(device.got[at], bytes) === 0, `${at}`);
  await assert.rejects(line.write(new Uint8Array(65_508)), { code: "limit" });
  for (const text of ["$GP", "", "GGA"]) device.say(text);
  await eventually(() => heard.length === 3, "what the device says");
  assert.deepEqual(heard, ["$GP", "", "GGA"]);
});

test("what is sent again after a resume has the borders it had", () => {
  const resend = new Resend(65536);
  for (const length of [20_000, 30_000]) resend.sent(new Uint8Array(length));
  resend.resumed(20_000);
  assert.equal(resend.again(65_507).length, 30_000);
  assert.equal(resend.again(65_507), undefined);
});
