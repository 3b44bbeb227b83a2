// One line, a person in the console and a program at a door: they hear the same device, see each other, and one writes at
// a time.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { eventually, startGateway, tcpDevice } from "./harness.mjs";
import { connected, consoleSuite, shows, signIn, users } from "./harness/console.mjs";

const { skip, open } = consoleSuite();

/** A program at a door; `heard` is what the device has said to it, `ended` how it was parted from. */
async function program(port) {
  const socket = connect(port, "127.0.0.1");
  const it = { socket, heard: "", ended: null };
  socket.on("data", (bytes) => (it.heard += bytes));
  socket.on("end", () => (it.ended ??= "end"));
  socket.on("error", (error) => (it.ended ??= error.code));
  await once(socket, "connect");
  return it;
}

test(
  "a person and a program share a line: both hear, one writes, each sees the other",
  { skip, timeout: 90_000 },
  async (t) => {
    let heard = "";
    let say = () => {};
    const device = await tcpDevice((socket) => {
      say = (text) => socket.write(text);
      socket.on("data", (bytes) => (heard += bytes));
    });
    const sha256 = "a".repeat(64);
    const gateway = await startGateway({
      yaml: `${users()}tokens:
  plotter: { sha256: "${sha256}", rights: { plc: [ read, write ] } }
endpoints:
  plc:
    tcp: { address: "${device.address}" }
    share: one-writer
    open: always
    doors: [ { tcp: "127.0.0.1:0", as: plotter } ]
`,
    });
    const alice = await open(t, `${gateway.url}#/plc`);
    await signIn(alice, "alice");
    await connected(alice);
    const [, port] = await eventually(
      () => /door open on 127\.0\.0\.1:(\d+)/.exec(gateway.log()),
      "the door",
    );
    const tool = await program(Number(port));
    t.after(() => tool.socket.destroy());

    // It has sent nothing: it hears the device, and holds nothing.
    await eventually(() => {
      say("ready\r\n");
      return tool.heard.includes("ready");
    }, "the device at the door");
    await shows(alice, /ready/);

    // The console has the lease: what the program sends goes nowhere, and it can tell.
    const chip = alice.locator(".chip");
    const lease = (pattern) =>
      eventually(async () => pattern.test(await chip.innerText()), `${pattern} on the chip`);
    await lease(/You write/);
    tool.socket.write("AT+CFUN=0\r");
    await eventually(() => tool.ended, "the program's end");
    assert.equal(tool.ended, "ECONNRESET");
    await chip.click();
    await alice.getByText("Give back: let others write").click();
    await lease(/Nobody writes/);

    // With its first bytes a program asks for the lease, and the person sees who writes.
    const second = await program(Number(port));
    t.after(() => second.socket.destroy());
    second.socket.write("AT\r");
    await eventually(() => heard === "AT\r", "the program's bytes at the device");
    await lease(/plotter writes/);
    say("OK\r\n");
    await shows(alice, /OK/);
    await eventually(() => second.heard.endsWith("OK\r\n"), "the answer at the door");

    // Keys of whoever does not hold the lease go nowhere.
    await alice.locator(".xterm-helper-textarea").first().press("x");
    await alice.getByRole("button", { name: "Sessions…" }).click();
    const rows = alice.locator(".sessions tbody tr");
    await eventually(async () => (await rows.count()) === 2, "both in the list");
    assert.match((await rows.allInnerTexts()).join("\n"), /plc\s+plotter\s+127\.0\.0\.1:\d+/);
    assert.equal(heard, "AT\r");
    await alice.keyboard.press("Escape");

    // The person takes over: the program ends with its next bytes, and they go nowhere.
    await chip.click();
    await alice.getByText("Take over from plotter").click();
    await alice.getByRole("dialog").getByRole("button", { name: "Take over" }).click();
    await lease(/You write/);
    second.socket.write("AT+CFUN=0\r");
    await eventually(() => second.ended, "the second program's end");
    assert.equal(second.ended, "ECONNRESET");
    await alice.locator(".xterm-helper-textarea").first().press("y");
    await eventually(() => heard === "AT\ry", "the person's key at the device");

    // When she has left, the next program may write.
    const third = await program(Number(port));
    t.after(() => third.socket.destroy());
    await alice.goto("about:blank");
    await eventually(() => /session closed.*principal=alice/.test(gateway.log()), "her end");
    third.socket.write("ATZ\r");
    await eventually(() => heard === "AT\ryATZ\r", "the next program's bytes");
  },
);
