// ZMODEM of the console against lrzsz, on pipes: equal hashes both ways, damage, cancel, several
// files, skip.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { concat } from "../../web/console/tools/escapes.js";
import { TransferEnded, Wire } from "../../web/console/tools/wire.js";
import { Frame, ZCRCE, ZCRCW, header, subpacket } from "../../web/console/tools/zheader.js";
import { receiveZmodem } from "../../web/console/tools/zreceive.js";
import { sendZmodem } from "../../web/console/tools/zsend.js";
import { folder, memoryFile, noise, peer, sha } from "./lrzsz.mjs";

const SIZES = [0, 1, 127, 1023, 1024, 1025, 16_384, 300_001, 3_000_000];

/** Receives everything the peer sends. */
async function receiveAll(wire, accept = () => true) {
  const files = [];
  await receiveZmodem(wire, async (file) => {
    if (!accept(file)) return null;
    const parts = [];
    return {
      write: async (bytes) => void parts.push(bytes),
      close: async () => void files.push({ ...file, bytes: Buffer.concat(parts) }),
    };
  });
  return files;
}

/** Damages the byte at each of the positions, counted over the whole stream. */
function damage(positions) {
  let at = 0;
  return (bytes) => {
    for (const position of positions)
      if (position >= at && position < at + bytes.length) bytes[position - at] ^= 0x55;
    at += bytes.length;
    return bytes;
  };
}

/** Loses `length` bytes at `from`. */
function lose(from, length) {
  let at = 0;
  return (bytes) => {
    const kept = bytes.filter((_, index) => at + index < from || at + index >= from + length);
    at += bytes.length;
    return kept;
  };
}

for (const size of SIZES) {
  test(`rz takes ${size} bytes`, async (t) => {
    const cwd = folder(t);
    const bytes = noise(size, size + 1);
    const { wire, exit } = peer(t, ["rz", "-b", "-q"], { cwd });
    const seen = [];
    await sendZmodem(wire, [memoryFile("firmware.bin", bytes)], {
      onProgress: (taken) => seen.push(taken),
    });
    assert.equal(await exit, 0);
    assert.equal(sha(readFileSync(join(cwd, "firmware.bin"))), sha(bytes));
    assert.equal(seen.at(-1), size);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
  });

  test(`sz gives ${size} bytes`, async (t) => {
    const cwd = folder(t);
    const bytes = noise(size, size + 2);
    writeFileSync(join(cwd, "config.bin"), bytes);
    const { wire, exit } = peer(t, ["sz", "-b", "-q", "config.bin"], { cwd });
    const [file, ...more] = await receiveAll(wire);
    assert.equal(await exit, 0);
    assert.deepEqual(more, []);
    assert.deepEqual([file.name, file.size, sha(file.bytes)], ["config.bin", size, sha(bytes)]);
    assert.ok(file.modified > 1_600_000_000_000);
  });
}

test("several files both ways, with the names they have", async (t) => {
  const cwd = folder(t);
  const files = ["a.txt", "with space.bin", "Grüße.cfg"].map((name, index) =>
    memoryFile(name, noise(5000 * index, index + 1)),
  );
  const up = peer(t, ["rz", "-b", "-q"], { cwd });
  await sendZmodem(up.wire, files);
  assert.equal(await up.exit, 0);
  assert.deepEqual(readdirSync(cwd).sort(), files.map((file) => file.name).sort());
  const down = peer(t, ["sz", "-b", "-q", ...files.map((file) => file.name)], { cwd });
  const got = await receiveAll(down.wire);
  assert.equal(await down.exit, 0);
  for (const [index, file] of files.entries()) {
    assert.equal(got[index].name, file.name);
    assert.equal(sha(got[index].bytes), sha(await file.read(0, file.size)));
  }
});

test("a file that is not wanted is skipped, the others come", async (t) => {
  const cwd = folder(t);
  for (const name of ["one", "two", "three"])
    writeFileSync(join(cwd, name), noise(100_000, name.length));
  const { wire, exit } = peer(t, ["sz", "-b", "-q", "one", "two", "three"], { cwd });
  const got = await receiveAll(wire, (file) => file.name !== "two");
  await exit;
  assert.deepEqual(
    got.map((file) => [file.name, file.bytes.length]),
    [
      ["one", 100_000],
      ["three", 100_000],
    ],
  );
});

test("rz that has the file already skips it, and the next is sent", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "kept"), "mine");
  const { wire, exit } = peer(t, ["rz", "-b", "-q", "-p"], { cwd });
  const skipped = [];
  await sendZmodem(wire, [memoryFile("kept", noise(90_000)), memoryFile("new", noise(5000))], {
    onSkip: (index) => skipped.push(index),
  });
  await exit;
  assert.deepEqual(skipped, [0]);
  assert.equal(readFileSync(join(cwd, "kept"), "utf8"), "mine");
  assert.equal(sha(readFileSync(join(cwd, "new"))), sha(noise(5000)));
});

test("rz -r goes on where an earlier transfer stopped", async (t) => {
  const cwd = folder(t);
  const bytes = noise(200_000);
  writeFileSync(join(cwd, "big"), bytes.subarray(0, 70_000));
  const { wire, exit, sent } = peer(t, ["rz", "-b", "-q", "-r"], { cwd });
  await sendZmodem(wire, [memoryFile("big", bytes)]);
  await exit;
  assert.equal(sha(readFileSync(join(cwd, "big"))), sha(bytes));
  assert.ok(sent.reduce((sum, part) => sum + part.length, 0) < 140_000, "only the rest was sent");
});

test("damaged and lost bytes on the way to rz are sent again", async (t) => {
  for (const toPeer of [
    damage([40, 3000, 3001, 50_000, 120_345]),
    lose(20_000, 700),
    lose(60_000, 5_000),
  ]) {
    const cwd = folder(t);
    const bytes = noise(150_000);
    const { wire, exit } = peer(t, ["rz", "-b", "-q"], { cwd, toPeer });
    await sendZmodem(wire, [memoryFile("file", bytes)]);
    assert.equal(await exit, 0);
    assert.equal(sha(readFileSync(join(cwd, "file"))), sha(bytes));
  }
});

test("damaged and lost bytes on the way from sz are asked for again", async (t) => {
  for (const fromPeer of [
    damage([30, 2000, 50_000, 50_001, 120_345]),
    lose(20_000, 700),
    lose(60_000, 5_000),
  ]) {
    const cwd = folder(t);
    const bytes = noise(150_000);
    writeFileSync(join(cwd, "file"), bytes);
    const { wire, exit } = peer(t, ["sz", "-b", "-q", "file"], { cwd, fromPeer });
    const [file] = await receiveAll(wire);
    assert.equal(await exit, 0);
    assert.equal(sha(file.bytes), sha(bytes));
  }
});

test("a receiver with a small buffer, one with CRC-16 only, and one that wants control characters escaped", async (t) => {
  for (const args of [["-w", "4096"], ["-e"], []]) {
    const cwd = folder(t);
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index & 0xff);
    const { wire, exit } = peer(t, ["rz", "-b", "-q", ...args], { cwd });
    await sendZmodem(wire, [memoryFile("file", bytes)]);
    assert.equal(await exit, 0);
    assert.equal(sha(readFileSync(join(cwd, "file"))), sha(bytes));
  }
});

test("sz with other block sizes, CRC-16, windows and escaped control characters", async (t) => {
  for (const args of [["-L", "64"], ["-8"], ["-o"], ["-w", "2048"], ["-e"], ["-l", "4096"]]) {
    const cwd = folder(t);
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index & 0xff);
    writeFileSync(join(cwd, "file"), bytes);
    const { wire, exit, errors } = peer(t, ["sz", "-b", "-q", ...args, "file"], { cwd });
    const [file] = await receiveAll(wire).catch((error) =>
      assert.fail(`sz ${args.join(" ")}: ${error.message}; ${errors()}`),
    );
    assert.equal(await exit, 0, args.join(" "));
    assert.equal(sha(file.bytes), sha(bytes), args.join(" "));
  }
});

test("on a slow line little is on the way unconfirmed, so that progress is true and cancel is quick", async (t) => {
  const { wire, exit, sent } = peer(t, ["rz", "-b", "-q"], { cwd: folder(t) });
  wire.rate = 960;
  let confirmed = 0;
  let most = 0;
  const { rawWrite } = wire;
  wire.rawWrite = (part) => {
    most = Math.max(most, sent.reduce((sum, one) => sum + one.length, 0) + part.length - confirmed);
    return rawWrite(part);
  };
  await sendZmodem(wire, [memoryFile("f", new Uint8Array(60_000).fill(0x41))], {
    onProgress: (taken) => {
      confirmed = taken;
    },
  });
  assert.equal(await exit, 0);
  assert.ok(most < 10_000, `${most} bytes were on the way`);
});

test("the other side's cancel ends both ways", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "file"), noise(3_000_000));
  const cancel = new Uint8Array(8).fill(0x18);
  const down = peer(t, ["sz", "-b", "-q", "file"], { cwd });
  let seen = 0;
  await assert.rejects(
    receiveZmodem(down.wire, async () => ({
      write: async (bytes) => {
        seen += bytes.length;
        if (seen > 50_000) down.wire.push(cancel);
      },
      close: async () => {},
    })),
    (error) => error instanceof TransferEnded && error.by === "remote",
  );
  const up = peer(t, ["rz", "-b", "-q"], { cwd });
  await assert.rejects(
    sendZmodem(up.wire, [memoryFile("up", noise(3_000_000))], {
      onProgress: () => up.wire.push(cancel),
    }),
    (error) => error instanceof TransferEnded && error.by === "remote",
  );
});

test("a sender that ends in the middle of a file has not sent it", async () => {
  const wire = new Wire(() => {});
  const file = new TextEncoder().encode("cut.bin\x00100 0 0 0 1 100\0");
  const how = { wide: true };
  wire.push(
    concat([
      header(Frame.ZFILE, 0, how),
      subpacket(file, ZCRCW, how),
      header(Frame.ZDATA, 0, how),
      subpacket(new Uint8Array(10), ZCRCE, how),
      header(Frame.ZFIN),
    ]),
  );
  const closed = [];
  const got = receiveZmodem(wire, async () => ({
    write: async () => {},
    close: async () => void closed.push(1),
  }));
  await assert.rejects(
    got,
    (error) => error instanceof TransferEnded && /in the middle of a file/.test(error.message),
  );
  assert.deepEqual(closed, []);
});

test("a command the other side asks for is refused", async (t) => {
  const { wire } = peer(t, ["sz", "-c", "touch /tmp/never"], { cwd: folder(t) });
  await assert.rejects(receiveAll(wire), /run a command/);
});
