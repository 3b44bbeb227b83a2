// XMODEM and YMODEM of the console against lrzsz, on pipes: equal hashes both ways, damage, loss,
// cancel, names.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe as group, test } from "node:test";
import { TransferEnded, Wire } from "../../web/console/tools/wire.js";
import { receiveXmodem, sendXmodem } from "../../web/console/tools/xmodem.js";
import {
  describe,
  parseDescription,
  receiveYmodem,
  sendYmodem,
} from "../../web/console/tools/ymodem.js";
import { folder, memoryFile, noise, peer, sha } from "./lrzsz.mjs";

const SIZES = [0, 1, 127, 128, 129, 896, 897, 1024, 1025, 40_000];

const collect = () => {
  const parts = [];
  return {
    parts,
    write: async (bytes) => void parts.push(bytes.slice()),
    bytes: () => new Uint8Array(Buffer.concat(parts)),
  };
};

/** What XMODEM makes of a file: filled with 0x1A to whole blocks. */
const startsWith = (got, bytes) => {
  assert.equal(sha(got.subarray(0, bytes.length)), sha(bytes));
  assert.ok(
    got.subarray(bytes.length).every((byte) => byte === 0x1a) && got.length - bytes.length < 1024,
  );
};

group("XMODEM against lrzsz", { concurrency: 8 }, () => {
  for (const size of SIZES) {
    const bytes = noise(size, size + 3);
    for (const [name, args, options] of [
      ["checksum", ["rx", "-b", "-q"], {}],
      ["CRC", ["rx", "-b", "-q", "-c"], {}],
      ["1K", ["rx", "-b", "-q", "-c"], { large: true }],
    ]) {
      test(`rx takes ${size} bytes by XMODEM ${name}`, async (t) => {
        const cwd = folder(t);
        const { wire, exit } = peer(t, [...args, "file"], { cwd });
        const seen = [];
        await sendXmodem(wire, memoryFile("file", bytes), {
          ...options,
          onProgress: (sent) => seen.push(sent),
        });
        assert.equal(await exit, 0);
        startsWith(readFileSync(join(cwd, "file")), bytes);
        assert.equal(seen.at(-1) ?? 0, size);
      });
    }
    for (const [name, args, options] of [
      ["checksum", ["sx", "-b", "-q"], { mode: "sum" }],
      ["CRC", ["sx", "-b", "-q"], {}],
      ["1K", ["sx", "-b", "-q", "-k"], {}],
    ]) {
      test(`sx gives ${size} bytes by XMODEM ${name}`, async (t) => {
        const cwd = folder(t);
        writeFileSync(join(cwd, "file"), bytes);
        const { wire, exit } = peer(t, [...args, "file"], { cwd });
        const sink = collect();
        await receiveXmodem(wire, sink, options);
        assert.equal(await exit, 0);
        startsWith(sink.bytes(), bytes);
      });
    }
  }
});

test("the filling of the last block is taken off when asked for", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "file"), "line\r\n");
  const { wire } = peer(t, ["sx", "-q", "file"], { cwd });
  const sink = collect();
  await receiveXmodem(wire, sink, { trim: true });
  assert.equal(Buffer.from(sink.bytes()).toString(), "line\r\n");
});

async function receiveFiles(wire, options, accept = () => true) {
  const files = [];
  await receiveYmodem(
    wire,
    async (file) => {
      if (!accept(file)) return null;
      const sink = collect();
      return {
        write: sink.write,
        close: async () => void files.push({ ...file, bytes: sink.bytes() }),
      };
    },
    options,
  );
  return files;
}

test("rb takes a batch of files with their names and sizes", async (t) => {
  const cwd = folder(t);
  const files = [0, 1, 1025, 40_000].map((size) =>
    memoryFile(`file ${size}.bin`, noise(size, size + 4)),
  );
  const { wire, exit } = peer(t, ["rb", "-b", "-q"], { cwd });
  await sendYmodem(wire, files);
  assert.equal(await exit, 0);
  assert.equal(readdirSync(cwd).length, files.length);
  for (const file of files)
    assert.equal(
      sha(readFileSync(join(cwd, file.name))),
      sha(await file.read(0, file.size)),
      file.name,
    );
});

for (const stream of [false, true]) {
  test(`sb gives a batch of files by YMODEM${stream ? "-g" : ""}`, async (t) => {
    const cwd = folder(t);
    const names = SIZES.map((size) => {
      writeFileSync(join(cwd, `file ${size}`), noise(size, size + 5));
      return `file ${size}`;
    });
    const { wire, exit } = peer(t, ["sb", "-b", "-q", ...names], { cwd });
    const files = await receiveFiles(wire, { stream });
    assert.equal(await exit, 0);
    assert.deepEqual(
      files.map((file) => file.name),
      names,
    );
    for (const [index, size] of SIZES.entries())
      assert.equal(sha(files[index].bytes), sha(noise(size, size + 5)), names[index]);
  });
}

/**
 * Our sender and our receiver, with a line between that does what `spoil` does to each written
 * part.
 */
function pair(spoil = (bytes) => bytes) {
  const left = new Wire((bytes) => void right.push(spoil(bytes.slice())));
  const right = new Wire((bytes) => void left.push(bytes.slice()));
  return { left, right };
}

test("YMODEM-g between two pages", async () => {
  const { left, right } = pair();
  const files = SIZES.map((size) => memoryFile(`f${size}`, noise(size)));
  const [, got] = await Promise.all([
    sendYmodem(left, files),
    receiveFiles(right, { stream: true }),
  ]);
  assert.deepEqual(
    got.map((file) => [file.name, sha(file.bytes)]),
    SIZES.map((size) => [`f${size}`, sha(noise(size))]),
  );
});

test("YMODEM-g ends at a damaged block, since it cannot ask again", async () => {
  const { left, right } = pair((bytes) => {
    if (bytes.length > 1000) bytes[700] ^= 1;
    return bytes;
  });
  const sending = sendYmodem(left, [memoryFile("f", noise(9000))], { startMs: 200 }).catch(
    () => {},
  );
  await assert.rejects(receiveFiles(right, { stream: true }), /damaged/);
  left.end(new TransferEnded("over", "user"));
  await sending;
});

test("damaged and lost blocks are sent again, by all of them", async (t) => {
  for (const spoil of ["damage", "shorten"]) {
    let count = 0;
    const bad = (bytes) => {
      count += 1;
      if (bytes.length < 100 || count % 5 !== 2) return bytes;
      if (spoil === "shorten") return bytes.subarray(0, bytes.length - 30);
      bytes[50] ^= 0x40;
      return bytes;
    };
    const bytes = noise(6000);
    const cwd = folder(t);
    const up = peer(t, ["rx", "-b", "-q", "-c", "up"], { cwd, toPeer: bad });
    await sendXmodem(up.wire, memoryFile("up", bytes), { large: true });
    assert.equal(await up.exit, 0);
    startsWith(readFileSync(join(cwd, "up")), bytes);
  }
  const cwd = folder(t);
  writeFileSync(join(cwd, "down"), noise(6000));
  let total = 0;
  const fromPeer = (bytes) => {
    for (let at = 0; at < bytes.length; at += 1) {
      total += 1;
      if (total === 1500 || total === 1501 || total === 4000) bytes[at] ^= 0x10;
    }
    return bytes;
  };
  const down = peer(t, ["sb", "-b", "-q", "down"], { cwd, fromPeer });
  const [file] = await receiveFiles(down.wire);
  assert.equal(await down.exit, 0);
  assert.equal(sha(file.bytes), sha(noise(6000)));
});

test("a lost answer doubles no block", async () => {
  let answers = 0;
  const left = new Wire((bytes) => void right.push(bytes.slice()), { rate: 1e9 });
  const right = new Wire((bytes) => {
    answers += 1;
    // The receiver's answer to its third block never arrives; the sender asks by sending the block
    // again.
    if (answers === 4) return left.push(Uint8Array.of(0x15));
    left.push(bytes.slice());
  });
  const sink = collect();
  await Promise.all([sendXmodem(left, memoryFile("f", noise(1280))), receiveXmodem(right, sink)]);
  assert.equal(sha(sink.bytes()), sha(noise(1280)));
});

test("cancel from the other side, from here, and by the line", async (t) => {
  const cancel = Uint8Array.of(0x18, 0x18, 0x18);
  const ends = (by) => (error) => error instanceof TransferEnded && error.by === by;
  const up = peer(t, ["rx", "-q", "-c", "f"], { cwd: folder(t) });
  await assert.rejects(
    sendXmodem(up.wire, memoryFile("f", noise(90_000)), { onProgress: () => up.wire.push(cancel) }),
    ends("remote"),
  );
  const cwd = folder(t);
  writeFileSync(join(cwd, "f"), noise(90_000));
  const down = peer(t, ["sb", "-q", "f"], { cwd });
  await assert.rejects(
    receiveFiles(down.wire, {}, () => false),
    ends("user"),
  );
  for (const by of ["user", "line"]) {
    const { left } = pair();
    const sending = sendXmodem(left, memoryFile("f", noise(1)));
    left.end(new TransferEnded("over", by));
    await assert.rejects(sending, ends(by));
  }
});

test("a write that never ends does not hold a cancelled transfer", async () => {
  const wire = new Wire(() => new Promise(() => {}));
  wire.push(Uint8Array.of(0x43));
  const sending = sendXmodem(wire, memoryFile("f", noise(1000)));
  queueMicrotask(() => wire.end(new TransferEnded("cancelled", "user")));
  await assert.rejects(sending, { by: "user" });
});

test("no time runs out while the connection is lost", async () => {
  const wire = new Wire(() => {});
  wire.stopClock(true);
  const byte = wire.byte(20);
  const slower = await Promise.race([
    byte,
    new Promise((resolve) => setTimeout(() => resolve("waits"), 100)),
  ]);
  assert.equal(slower, "waits");
  wire.stopClock(false);
  assert.equal(await byte, -1, "and the time starts anew afterwards");
});

test("descriptions of files survive, and strange ones are bounded", () => {
  const file = { name: "a b.txt", size: 12345, modified: 1_700_000_000_000 };
  assert.deepEqual(parseDescription(describe(file)), file);
  const raw = (text) => parseDescription(new TextEncoder().encode(text));
  assert.deepEqual(raw("only"), { name: "only", size: null, modified: null });
  assert.deepEqual(raw("x\0-5 zz\0"), { name: "x", size: null, modified: null });
  assert.deepEqual(raw("x\x0099999999999999999999 0\0"), { name: "x", size: null, modified: null });
});
