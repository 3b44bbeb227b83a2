// The console's tools without a page: escapes, checksums, names, hex rows, Modbus, pacing, macros,
// history, text logs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, crcModbus, crcXmodem, withModbusCrc } from "../../web/console/tools/crc.js";
import {
  InputError,
  parseHex,
  parseText,
  toAscii,
  toEscaped,
  toHex,
} from "../../web/console/tools/escapes.js";
import { freeName, readableSize, safeName } from "../../web/console/tools/filename.js";
import { HexRows } from "../../web/console/tools/hexrows.js";
import { History } from "../../web/console/tools/history.js";
import { LogText, trafficText, visible } from "../../web/console/tools/logtext.js";
import {
  blank,
  complaint,
  parseMacros,
  parts,
  printMacros,
  runMacro,
} from "../../web/console/tools/macros.js";
import { describeModbus } from "../../web/console/tools/modbus.js";
import { sendPaced } from "../../web/console/tools/pace.js";
import { Traffic } from "../../web/console/tools/traffic.js";
import { TransferEnded, Wire } from "../../web/console/tools/wire.js";
import { ZmodemDetector } from "../../web/console/tools/zdetect.js";

const bytes = (text) => new TextEncoder().encode(text);
const hex = (text) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const memory = (content) => ({
  name: "f",
  size: content.length,
  read: async (at, length) => content.slice(at, at + length),
});

test("checksums have their published check values", () => {
  assert.equal(crcModbus(bytes("123456789")), 0x4b37);
  assert.equal(crcXmodem(bytes("123456789")), 0x31c3);
  assert.equal(crc32(bytes("123456789")), 0xcbf43926);
  assert.equal(crc32(bytes("6789"), crc32(bytes("12345"))), 0xcbf43926);
  assert.equal(toHex(withModbusCrc(hex("01 03 00 00 00 0A"))), "01 03 00 00 00 0A C5 CD");
});

test("text with escapes becomes bytes, and wrong ones are told with their place", () => {
  assert.equal(
    toHex(parseText("A\\r\\n\\t\\e\\0\\x1b\\xFF\\\\ü\\u{20ac}")),
    "41 0D 0A 09 1B 00 1B FF 5C C3 BC E2 82 AC",
  );
  assert.deepEqual(parseText(""), new Uint8Array(0));
  for (const [text, at] of [
    ["ab\\q", 2],
    ["\\x1", 0],
    ["x\\", 1],
    ["\\u{110000}", 0],
  ]) {
    assert.throws(
      () => parseText(text),
      (error) => error instanceof InputError && error.at === at,
      text,
    );
  }
  const every = Uint8Array.from({ length: 256 }, (_, index) => index);
  assert.deepEqual(parseText(toEscaped(every)), every);
});

test("hex is read in all the ways people write it", () => {
  for (const text of [
    "01 03 0A ff",
    "01030aFF",
    "0x01,0x03, 0x0A 0xFF",
    "01:03:0a:ff",
    "1 3 a ff",
    "01-03-0A-FF",
  ]) {
    assert.equal(toHex(parseHex(text)), "01 03 0A FF", text);
  }
  assert.throws(() => parseHex("01 0g"), { at: 4, message: "`g` is no hex digit (character 5)" });
  assert.throws(() => parseHex("01 123"), { at: 3 });
  assert.equal(toAscii(hex("41 00 7f 7e ff")), "A..~.");
});

test("names from a device are no paths and no tricks", () => {
  for (const [given, safe] of [
    ["../../etc/passwd", "passwd"],
    ["C:\\boot\\x.ini", "x.ini"],
    ["..", "received.bin"],
    ["", "received.bin"],
    [".bashrc", "bashrc"],
    ["a\u0000b\u001b[31m.txt", "ab[31m.txt"],
    ["evil\u202egpj.exe", "evilgpj.exe"],
    ["con.txt", "_con.txt"],
    ["a<b>c|d", "a_b_c_d"],
    ["x ", "x"],
  ])
    assert.equal(safeName(given), safe);
  assert.equal(safeName(`${"n".repeat(300)}.tar.gz`).length, 120);
  assert.ok(safeName(`${"n".repeat(300)}.bin`).endsWith(".bin"));
  const taken = new Set();
  assert.deepEqual(
    ["a.b", "A.b", "a.b", "c"].map((name) => freeName(name, taken)),
    ["a.b", "A (2).b", "a (3).b", "c"],
  );
  assert.deepEqual([0, 999, 1000, 4_294_967_296].map(readableSize), [
    "0 B",
    "999 B",
    "1.0 kB",
    "4.3 GB",
  ]);
});

test("a pause, the other direction and lost bytes start a new run", () => {
  const traffic = new Traffic({ gap: 20 });
  traffic.add("in", bytes("ab"), 1000);
  traffic.add("in", bytes("cd"), 1010);
  traffic.add("in", bytes("ef"), 1031);
  traffic.add("out", bytes("x"), 1032);
  traffic.lost(7, 1040);
  traffic.add("in", bytes("g"), 1041);
  assert.deepEqual(
    traffic.runs.map(({ direction, length, ms, delta, at }) => [direction, length, ms, delta, at]),
    [
      ["in", 4, 1000, null, 0],
      ["in", 2, 1031, 21, 4],
      ["out", 1, 1032, 1, 0],
      ["lost", 7, 1040, 8, 6],
      ["in", 1, 1041, 1, 13],
    ],
  );
});

test("what a page keeps is bounded, and what went is counted", () => {
  const traffic = new Traffic({ byteLimit: 200_000, runLimit: 100 });
  const rows = new HexRows(traffic);
  const block = new Uint8Array(10_000).fill(7);
  for (let count = 0; count < 100; count += 1) {
    traffic.add("in", block, 1);
    rows.count;
  }
  const kept = traffic.runs.reduce((sum, run) => sum + run.length, 0);
  assert.ok(kept <= 200_000 && kept > 100_000, String(kept));
  assert.equal(kept + traffic.dropped, 1_000_000);
  assert.equal(
    rows.count,
    traffic.runs.reduce((sum, run) => sum + Math.ceil(run.length / 16), 0),
  );
  assert.equal(rows.row(0).run, traffic.runs[0]);
  assert.equal(rows.row(rows.count - 1).run, traffic.runs.at(-1));
  assert.equal(rows.row(rows.count), null);
  for (let count = 0; count < 1000; count += 1)
    traffic.add(count % 2 ? "in" : "out", Uint8Array.of(1), 2);
  assert.ok(traffic.runs.length <= 100);
  traffic.clear();
  assert.deepEqual([rows.count, traffic.dropped, rows.row(0)], [0, 0, null]);
});

test("rows have offsets, and bytes are found both ways, across the cut of a long run too", () => {
  const traffic = new Traffic();
  traffic.add("in", new Uint8Array(48 * 1024 - 2), 1);
  traffic.add("in", hex("DE AD BE EF 00"), 1);
  traffic.add("out", bytes("DEAD"), 2);
  const rows = new HexRows(traffic);
  const last = rows.count - 1;
  assert.deepEqual([rows.row(2).offset, rows.row(2).head, rows.row(0).head], [32, false, true]);
  assert.equal(rows.row(last).run.direction, "out");
  const hit = rows.find(hex("DE AD BE EF"), 0);
  assert.equal(hit, (48 * 1024) / 16 - 1);
  assert.equal(rows.find(hex("DE AD BE EF"), hit + 1), -1);
  assert.equal(rows.find(hex("DE AD"), last, true), hit);
  assert.equal(rows.find(bytes("DEAD"), 0), last);
  assert.equal(rows.find(new Uint8Array(0), 0), -1);
});

test("Modbus frames are told apart", () => {
  const of = (text) => describeModbus(withModbusCrc(hex(text)));
  assert.equal(
    of("01 03 00 00 00 0A"),
    "unit 1 · read holding registers · from 0, 10 of them · CRC ok",
  );
  assert.equal(
    of("01 03 04 00 01 00 02"),
    "unit 1 · read holding registers · answer, 4 bytes · CRC ok",
  );
  assert.equal(
    of("11 83 02"),
    "unit 17 · read holding registers · exception: illegal address · CRC ok",
  );
  assert.equal(of("00 05 00 01 FF 00"), "broadcast · write coil · 1 = on · CRC ok");
  assert.equal(
    of("01 10 00 01 00 02 04 00 0A 01 02"),
    "unit 1 · write registers · from 1, 2 of them · CRC ok",
  );
  assert.match(describeModbus(hex("01 03 00 00 00 0A C5 CE")), /CRC wrong, C5 CD expected/);
  assert.equal(describeModbus(bytes("hello world")), null);
  assert.equal(describeModbus(hex("01 03")), null);
});

test("a ZMODEM header is seen however it is cut, and nothing else is", () => {
  const stream = Buffer.from(
    "rz waiting **\x18B0100000023be50\r\n login: *** **\x18B00000000000000\r\n",
  );
  for (const size of [1, 2, 3, 7, 1000]) {
    const detector = new ZmodemDetector();
    const found = [];
    for (let at = 0; at < stream.length; at += size)
      found.push(detector.push(new Uint8Array(stream.subarray(at, at + size))));
    const seen = found.filter(Boolean);
    if (size < 1000) assert.deepEqual(seen, ["send", "receive"], String(size));
  }
  assert.equal(new ZmodemDetector().push(bytes("***\x18B00")), "receive");
  assert.equal(new ZmodemDetector().push(bytes("**B00 **\x18A00 *\x18B00")), null);
});

test("a paced file takes its time, in pieces, and all of it arrives", async () => {
  const pauses = [];
  const parts = [];
  const wire = new Wire((part) => void parts.push(part.slice()));
  const content = new Uint8Array(1000).map((_, index) => index);
  await sendPaced(
    wire,
    memory(content),
    { rate: 1000 },
    { pause: async (ms) => void pauses.push(ms) },
  );
  assert.deepEqual(Buffer.concat(parts), Buffer.from(content));
  assert.ok(parts.every((part) => part.length <= 50));
  assert.ok(pauses.at(-1) > 800 && pauses.at(-1) <= 1000, "the last byte leaves after a second");
});

test("a paced file waits after each line, for a time or for the prompt", async () => {
  const events = [];
  const wire = new Wire((part) => {
    events.push(Buffer.from(part).toString());
    if (part.at(-1) === 10) setTimeout(() => wire.push(bytes("echo> ")), 1);
  });
  await sendPaced(
    wire,
    memory(bytes("a\nbb\nc")),
    { line: 30, prompt: bytes("> ") },
    { pause: async (ms) => void events.push(ms) },
  );
  assert.deepEqual(events, ["a\n", 30, "bb\n", 30, "c"]);
  const silent = new Wire(() => {});
  await assert.rejects(
    sendPaced(silent, memory(bytes("a\nb")), { prompt: bytes("#"), promptMs: 20 }),
    /prompt did not come/,
  );
});

test("a file of 4 GB is read in slices, and cancelled in the middle", async () => {
  let largest = 0;
  let sent = 0;
  const file = {
    size: 4 * 1024 ** 3,
    read: async (_, length) => {
      largest = Math.max(largest, length);
      return new Uint8Array(length);
    },
  };
  const wire = new Wire(async (part) => {
    sent += part.length;
    if (sent > 1_000_000) wire.end(new TransferEnded("cancelled", "user"));
  });
  await assert.rejects(sendPaced(wire, file, {}), { by: "user" });
  assert.ok(largest <= 65536 && sent < 1_100_000);
});

test("macros survive export and import, and wrong files are told what is wrong with them", () => {
  const list = [
    { ...blank(), name: "Version", text: "show version", key: "1" },
    {
      ...blank(),
      name: "Poll",
      text: "01 03 00 00\n02 03",
      mode: "hex",
      ending: "none",
      delay: 50,
    },
  ];
  assert.deepEqual(parseMacros(printMacros(list)), list);
  assert.deepEqual(parseMacros('[{"name":"a","text":"b"}]'), [
    { ...blank(), name: "a", text: "b" },
  ]);
  for (const [json, error] of [
    ["{", /no JSON/],
    ['{"a":1}', /a list of macros is expected/],
    ["[1]", /macro 1: \{"name"/],
    ['[{"name":"a","text":"b","colour":1}]', /macro 1: unknown key `colour`/],
    ['[{"name":"a","text":"\\\\q"}]', /macro 1 \(a\): text, line 1: a backslash/],
    [
      '[{"name":"a","text":"b"},{"name":"c","text":"zz","mode":"hex"}]',
      /macro 2 \(c\): text, line 1: `z` is no hex digit/,
    ],
    ['[{"name":"a","text":"b","delay":-1}]', /delay/],
    ['[{"name":"a","text":"b","ending":"toString"}]', /ending/],
    [JSON.stringify(Array(101).fill({ name: "a", text: "b" })), /at most 100/],
  ])
    assert.throws(
      () => parseMacros(json),
      (thrown) => error.test(thrown.message),
      json,
    );
  assert.equal(
    complaint({ ...blank(), name: "a", text: "b", key: "x" }),
    "key: a digit from 1 to 9, or nothing",
  );
});

test("a macro sends line by line, and ends between two of them when told", async () => {
  const macro = { ...blank(), name: "m", text: "a\\x00\nb\nc", ending: "crlf", delay: 5 };
  assert.deepEqual(parts(macro).map(toHex), ["61 00 0D 0A", "62 0D 0A", "63 0D 0A"]);
  const sent = [];
  const abort = new AbortController();
  await runMacro(
    macro,
    async (part) => {
      sent.push(part);
      if (sent.length === 2) abort.abort();
    },
    abort.signal,
  );
  assert.equal(sent.length, 2);
});

test("history goes back and forth, keeps the draft, and has no doubles", () => {
  let kept;
  const history = new History(["a", "b", 3], (entries) => {
    kept = entries;
  });
  assert.deepEqual(
    [
      history.step(-1, "draft"),
      history.step(-1, "b"),
      history.step(-1, "a"),
      history.step(1, "a"),
      history.step(1, "b"),
      history.step(1, "draft"),
    ],
    ["b", "a", null, "b", "draft", null],
  );
  history.add("a");
  assert.deepEqual(kept, ["b", "a"]);
  for (let count = 0; count < 200; count += 1) history.add(`x${count}`);
  assert.equal(kept.length, 100);
});

test("the text log has lines with times and directions, and nothing in it acts", () => {
  const log = new LogText();
  const at = new Date(2026, 10, 26, 8, 21, 28, 123).getTime();
  assert.equal(log.add("in", bytes("login: ro"), at), "");
  assert.equal(
    log.add("in", bytes("ot\r\n\x1b]0;title\x07\n"), at + 9),
    "2026-11-26 08:21:28.123 < login: root\n2026-11-26 08:21:28.132 < \\e]0;title\\x07\n",
  );
  assert.equal(log.add("out", bytes("ls"), at), "");
  assert.equal(log.flush(), "2026-11-26 08:21:28.123 > ls\n");
  assert.equal(
    log.add("out", bytes("a\rb\r\nc\r"), at),
    ["a", "b", "c"].map((line) => `2026-11-26 08:21:28.123 > ${line}\n`).join(""),
  );
  assert.equal(
    log.add("out", bytes("\nd\n"), at),
    "2026-11-26 08:21:28.123 > d\n",
    "CR and LF in two parts are one end",
  );
  assert.equal(
    new LogText({ hex: true }).add("out", hex("01 ff"), at),
    "2026-11-26 08:21:28.123 > 01 FF\n",
  );
  assert.equal(visible("a\u202eb\\"), "a\\x202Eb\\\\");
  const traffic = new Traffic({ byteLimit: 10 });
  traffic.add("in", bytes("0123456789"), at);
  traffic.add("in", bytes("next\n"), at + 100);
  const text = trafficText(traffic, "modem1").join("");
  assert.match(
    text,
    /^# modem1, what this page has seen until .*\n# 10 bytes before this were dropped/,
  );
  assert.ok(text.endsWith("< next\n"));
});
