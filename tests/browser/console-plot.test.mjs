// The plot: which numbers are read from which lines, and the curves in Chromium, on the real
// daemon.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { eventually, startGateway, tcpDevice } from "./harness.mjs";
import { connected, consoleSuite, pictures } from "./harness/console.mjs";
import { NumberReader } from "../../web/console/tools/numbers.js";
import { CURVES, PlotData } from "../../web/console/tools/plotdata.js";

const { skip, open } = consoleSuite();

const read = (text, way = "auto") => {
  const reader = new NumberReader();
  reader.way = way;
  return reader.push(text);
};

test("names with numbers, columns with and without names, and the first number of a sentence are read", () => {
  assert.deepEqual(read("a:1 b:2\n"), [
    [
      ["a", 1],
      ["b", 2],
    ],
  ]);
  assert.deepEqual(read("temp=23.5C, hum = -4.0e1 %\r\n"), [
    [
      ["temp", 23.5],
      ["hum", -40],
    ],
  ]);
  assert.deepEqual(read("1,2.5,-3\n"), [
    [
      ["column 1", 1],
      ["column 2", 2.5],
      ["column 3", -3],
    ],
  ]);
  assert.deepEqual(read("x;y\n1;2\n3;4\n"), [
    [
      ["x", 1],
      ["y", 2],
    ],
    [
      ["x", 3],
      ["y", 4],
    ],
  ]);
  assert.deepEqual(read("42\n.5\n"), [[["value", 42]], [["value", 0.5]]]);
  assert.deepEqual(read("Temperature is 23.5 degrees\n"), [[["value", 23.5]]]);
  assert.deepEqual(read("\x1b[32ma:1\x1b[0m\n"), [[["a", 1]]]);
});

test("what is no number is none: times, versions, addresses, sentences between lines of numbers", () => {
  assert.deepEqual(read("at 12:30:45 v4.1.7 on eth0\n"), []);
  assert.deepEqual(read("a:1\n[0.74] console enabled\na:2\n"), [[["a", 1]], [["a", 2]]]);
  assert.deepEqual(read("mac:00:11:22\n"), []);
  assert.deepEqual(read(`${"9".repeat(5000)}\n`), []);
  assert.deepEqual(read("a:1 b:2\n", "columns"), []);
  assert.deepEqual(read("a:1 b:2\n", "first"), [[["value", 1]]]);
});

test("a line that comes in pieces is one line", () => {
  const reader = new NumberReader();
  assert.deepEqual(
    [...reader.push("te"), ...reader.push("mp:2"), ...reader.push("3\r"), ...reader.push("\n")],
    [[["temp", 23]]],
  );
});

test("curves keep their times, are bounded in points and number, and come as CSV", () => {
  const data = new PlotData(100);
  for (let at = 0; at < 1000; at += 1) data.add(at * 1000, at % 2 ? [["a", at]] : [["b,c", at]]);
  assert.ok(data.times.length <= 125 && data.times.length >= 100, String(data.times.length));
  assert.ok(data.columns().every((column) => column.length === data.times.length));
  assert.equal(data.last("a"), 999);
  const [head, first] = data.csv().split("\n");
  assert.equal(head, 'time,"b,c",a');
  assert.match(first, /^1970-01-01T00:\d\d:\d\d\.000Z,(\d+,|,\d+)$/);
  for (let at = 0; at < 20; at += 1) data.add(2e6, [[`n${at}`, 1]]);
  assert.equal(data.curves.size, CURVES);
  assert.equal(data.refused.size, 20 + 2 - CURVES);
});

test(
  "a device's numbers are curves: loaded on demand, paused, zoomed, downloaded",
  { skip, timeout: 60_000 },
  async (t) => {
    let socket;
    const device = await tcpDevice((one) => (socket = one));
    const gateway = await startGateway({
      yaml: `endpoints:\n  sensor:\n    share: one-writer\n    tcp: { address: "${device.address}" }\n`,
    });
    const asked = [];
    const page = await open(t, `${gateway.url}#/sensor`, {
      viewport: { width: 1280, height: 800 },
      prepare: async (one) => one.on("request", (request) => asked.push(request.url())),
    });
    await connected(page);
    await eventually(() => socket, "the device's connection");
    let n = 0;
    const say = () =>
      socket.write(
        `temp:${(20 + 5 * Math.sin(n / 20)).toFixed(2)} hum:${(40 + 8 * Math.cos(n / 33)).toFixed(2)}\r\n`,
      ) && (n += 1);
    say();
    await eventually(
      async () => (await page.locator(".xterm-rows").innerText()).includes("temp"),
      "the line",
    );
    assert.ok(
      !asked.some((url) => /uPlot/.test(url)),
      "the chart is not asked for before it is shown",
    );
    const talk = setInterval(say, 20);
    t.after(() => clearInterval(talk));
    await page.getByRole("button", { name: "Plot", exact: true }).click();
    await page.locator(".tool-plot canvas").waitFor();
    assert.equal(asked.filter((url) => /uPlot/.test(url)).length, 1);
    assert.deepEqual(
      await page
        .locator(".tool-plot-legend li")
        .evaluateAll((all) => all.map((one) => one.querySelector("[data-value]").dataset.value)),
      ["temp", "hum"],
    );
    const drawn = () => page.locator(".tool-plot canvas").evaluate((canvas) => canvas.toDataURL());
    const before = await drawn();
    await eventually(async () => (await drawn()) !== before, "a curve that goes on");
    await page.getByRole("button", { name: "Pause the plot" }).click();
    const still = await drawn();
    const count = n;
    await eventually(() => n > count + 15, "more lines");
    assert.equal(await drawn(), still, "a plot that is paused stands still");
    // Zoomed with the pointer, it stands still, too; Follow ends it.
    await page.getByRole("button", { name: "Follow" }).click();
    await eventually(() => n > 120, "some curve");
    const box = await page.locator(".tool-plot .u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 50);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.99, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await eventually(
      async () =>
        (await page
          .getByRole("button", { name: "Pause the plot" })
          .getAttribute("aria-pressed")) === "true",
      "the zoom",
    );
    await page.screenshot({ path: `${pictures}plot-zoomed.png` });
    await page.getByRole("button", { name: "Follow" }).click();
    const [csv] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download CSV" }).click(),
    ]);
    const lines = readFileSync(await csv.path(), "utf8")
      .trim()
      .split("\n");
    assert.equal(lines[0], "time,temp,hum");
    assert.ok(lines.length > 100);
    assert.match(lines[1], /^\d{4}-\d\d-\d\dT[\d:.]+Z,20(\.00)?,48/);
    await page.screenshot({ path: `${pictures}plot.png` });
    assert.deepEqual(page.complaints, []);
  },
);
