// Clients of other protocols with their defaults: MQTT.js and paho, mosquitto behind `tcp:`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { eventually, startGateway, stopAll } from "../browser/harness.mjs";
import { started, stopped } from "../browser/harness/life.mjs";
import { freePort } from "./proxy.mjs";

after(stopAll);

const { WebSocket } = createRequire(new URL("../browser/package.json", import.meta.url))("ws");
const skip = existsSync("/usr/sbin/mosquitto")
  ? undefined
  : "no mosquitto: /usr/sbin/mosquitto is not there";

/** Mosquitto, and a gateway in front of it whose endpoint speaks what MQTT clients ask for. */
async function broker() {
  const port = await freePort();
  const child = spawn("/usr/sbin/mosquitto", ["-p", String(port)], { stdio: "ignore" });
  const mosquitto = started({
    async stop() {
      stopped(mosquitto);
      child.kill("SIGKILL");
    },
  });
  const gateway = await startGateway({
    yaml: `endpoints:\n  broker:\n    tcp: { address: "127.0.0.1:${port}" }\n    subprotocols: [ mqtt, mqttv3.1 ]\n`,
  });
  return { mosquitto, gateway, url: `${gateway.direct.replace("http", "ws")}ws/broker` };
}

test("MQTT.js publishes and hears it by its defaults", { skip, timeout: 60_000 }, async () => {
  const { default: mqtt } = await import("mqtt");
  const { mosquitto, gateway, url } = await broker();
  const client = mqtt.connect(url, { reconnectPeriod: 200 });
  started({ stop: async () => client.end(true) });
  await new Promise((done) => client.once("connect", done));
  const heard = new Promise((done) =>
    client.on("message", (topic, text) => done(`${topic}: ${text}`)),
  );
  await client.subscribeAsync("cabinet/3");
  await client.publishAsync("cabinet/3", "warm");
  assert.equal(await heard, "cabinet/3: warm");
  client.end(true);
  await Promise.all([gateway.stop(), mosquitto.stop()]);
});

test(
  "paho for browsers publishes and hears it by its defaults",
  { skip, timeout: 60_000 },
  async () => {
    // It is a browser's: what it looks for there is the WebSocket and a store.
    const kept = new Map();
    globalThis.WebSocket = WebSocket;
    globalThis.localStorage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
    };
    const { default: paho } = await import("paho-mqtt");
    const { mosquitto, gateway, url } = await broker();
    const client = new paho.Client(url, "suite");
    const heard = new Promise(
      (done) =>
        (client.onMessageArrived = (message) =>
          done(`${message.destinationName}: ${message.payloadString}`)),
    );
    const dial = () =>
      new Promise((done, fail) => client.connect({ onSuccess: done, onFailure: fail }));
    await eventually(async () => (await dial(), true), "the connection");
    client.subscribe("cabinet/3", { onSuccess: () => client.send("cabinet/3", "warm") });
    assert.equal(await heard, "cabinet/3: warm");
    client.disconnect();
    await Promise.all([gateway.stop(), mosquitto.stop()]);
  },
);
