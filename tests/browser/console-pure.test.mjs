// What the console decides without a page: why a line cannot be used, which lines belong together,
// where earlier output ends.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fits, groups, prefix } from "../../web/console/list/groups.js";
import { START } from "../../web/console/link/state.js";
import { condition } from "../../web/console/pane/condition.js";
import { sparkline } from "../../web/console/rates.js";
import { isOpen, markSequence } from "../../web/console/terminal/mark.js";

const bytes = (text) => new Uint8Array(Buffer.from(text, "latin1"));
const up = {
  ...START,
  phase: "up",
  device: "up",
  role: "writer",
  rights: ["read", "write"],
  endpoint: { kind: "serial" },
};

test("a line that can be used has no condition, nor one whose connection is on its way back", () => {
  assert.equal(condition(up), null);
  assert.equal(condition({ ...up, role: "observer", holder: { user: "bob" } }), null);
  assert.equal(condition({ ...up, phase: "lost", lost: { code: 1006 } }), null);
  assert.equal(condition(START), null);
});

test("each state has its title, its reason and its time", () => {
  const since = Date.parse("2026-11-30T10:00:00Z");
  const down = condition({ ...up, device: "down", error: "/dev/ttyUSB0 is not there", since });
  assert.deepEqual(
    [down.title, down.reason, down.since, down.can],
    ["The device is not there", "/dev/ttyUSB0 is not there", since, []],
  );
  const refused = condition({
    ...up,
    phase: "lost",
    device: "down",
    endpoint: { kind: "tcp" },
    error: "connection refused",
    since,
    rx: 5,
    lost: { code: 1011, retryAt: since, byTarget: true },
  });
  assert.deepEqual(
    [refused.title, refused.reason, refused.retryAt, refused.can],
    ["Not reachable", "connection refused", since, ["retry", "hide"]],
  );
  const closed = (trouble, more) => condition({ ...START, phase: "closed", trouble, ...more });
  const busy = closed(
    { code: "busy", reason: "held by bob since x" },
    { holder: { user: "bob", since: "2026-11-30T10:00:00Z" } },
  );
  assert.deepEqual(
    [busy.title, busy.since, busy.reason],
    ["In use by bob", since, "held by bob since x"],
  );
  assert.equal(closed({ code: 1000 }).title, "Ended");
  assert.equal(closed({ code: 4403 }).title, "Not allowed");
  assert.equal(closed({ code: 4404 }).title, "Unknown line");
  assert.equal(closed({ code: 4412 }).title, "Ended by an administrator");
  assert.equal(
    condition(
      { ...START, phase: "closed", trouble: { code: "unreachable", reason: "no" } },
      { listed: false },
    ).title,
    "Unknown line",
  );
  assert.equal(
    condition({ ...START, phase: "closed", trouble: { code: "unreachable", reason: "no" } }).title,
    "No connection",
  );
});

test("who types without writing is told who writes, and what can be done", () => {
  const reads = { ...up, role: "observer", holder: { user: "bob", since: "2026-11-30T10:00:00Z" } };
  const held = condition(reads, { typed: true });
  assert.deepEqual([held.title, held.can], ["bob writes", ["request", "hide"]]);
  assert.deepEqual(
    condition({ ...reads, rights: ["read", "write", "takeover"] }, { typed: true }).can,
    ["request", "take", "hide"],
  );
  const never = condition({ ...reads, holder: null, rights: ["read"] }, { typed: true });
  assert.deepEqual([never.title, never.can], ["Read only", ["hide"]]);
  const stale = { ...reads, held: "sign in again to write here" };
  const asked = condition(stale, { typed: true, again: true });
  assert.deepEqual([asked.title, asked.again], ["Sign in again to write", true]);
  assert.deepEqual(condition(stale, { typed: true }).title, "Read only");
});

test("names are grouped by what they begin with; few lines are not grouped", () => {
  assert.deepEqual(
    ["rack1-sw3", "rack1.console", "plc12", "plc", "a_b", "router", "7"].map(prefix),
    ["rack1", "rack1", "plc", "plc", "a", "router", ""],
  );
  const line = (name, state = "up") => ({ name, state });
  assert.deepEqual(
    groups([line("a-1"), line("a-2")]).map(({ title, members }) => [title, members.length]),
    [["", 2]],
  );
  assert.deepEqual(
    groups([line("a-1"), line("a-2", "down")]).map(({ title }) => title),
    ["Not there", "There"],
  );
  const many = [
    ...Array.from({ length: 20 }, (_, at) => line(`rack1-${at}`)),
    line("alone"),
    line("rack1-x", "down"),
  ];
  assert.deepEqual(
    groups(many).map(({ title, members }) => [title, members.length]),
    [
      ["Not there", 1],
      ["rack1", 20],
      ["Others", 1],
    ],
  );
  const wanted = {
    name: "plc1",
    title: "Boiler",
    error: "connection refused",
    writer: { user: "bob" },
  };
  assert.ok(
    fits(wanted, ["boil", "refused", "bob", "serial"], "serial") &&
      !fits(wanted, ["boil", "alice"], "serial"),
  );
});

test("a sparkline stays in its box", () => {
  const path = sparkline([0, 1, 1000, 5], 30, 10);
  const points = [...path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  assert.equal(points.length, 4);
  assert.ok(
    points.every(([x, y]) => x >= 0 && x <= 30 && y >= 0 && y <= 10),
    path,
  );
});

test("nothing is put into the middle of a control sequence or a character", () => {
  for (const open of [
    "\x1b",
    "text\x1b[",
    "\x1b[1;3",
    "\x1b]0;title",
    "\x1b(",
    "caf\xc3",
    "\xe2\x94",
    "\xf0\x9f\x98",
  ])
    assert.ok(isOpen(bytes(open)), JSON.stringify(open));
  for (const whole of [
    "",
    "text",
    "\x1b[1m",
    "\x1b]0;t\x07",
    "\x1b(B",
    "caf\xc3\xa9",
    "\xe2\x94\x80",
    "\x1bM",
  ])
    assert.ok(!isOpen(bytes(whole)), JSON.stringify(whole));
});

test("the mark is one line, however narrow the terminal, and the cursor is where it was", () => {
  assert.equal(
    markSequence({ clock: "10:00:00", column: 0, rows: 1, columns: 80 }),
    "\x1b[0;90m── earlier output above · live since 10:00:00 ──\x1b[0m\r\n",
  );
  const above = markSequence({ clock: "10:00:00", column: 8, rows: 1, columns: 42 });
  assert.match(above, /^\r\x1b\[L\x1b\[0;90m── live since 10:00:00 ──\x1b\[0m\r\x1b\[B\x1b\[9G$/);
});

test("no text of the page has the backquotes of a manual", () => {
  const folder = new URL("../../web/console/", import.meta.url);
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".js"));
  assert.ok(files.length > 50, `${files.length}`);
  const found = files.flatMap((name) =>
    readFileSync(new URL(name, folder), "utf8")
      .split("\n")
      .filter((line) => /^[^`]*"[^"`]*`[^"`$]+`[^"]*"/.test(line))
      .map((line) => `${name}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
});
