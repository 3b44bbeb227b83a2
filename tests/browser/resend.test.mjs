// What is kept for a resume, against a gateway that is a few lines: whatever is cut, each byte
// arrives once and in order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Resend } from "../../web/client/resend.js";

/** Random numbers that are the same each time (mulberry32). */
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const byte = (at) => at % 251;

test("each byte arrives once and in order, wherever the connection is cut and whichever acknowledgement is lost", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seeded(seed);
    const upTo = (n) => Math.floor(random() * n);
    const window = 4096 + upTo(16000);
    const resend = new Resend(window);
    let written = 0;
    let flying = [];
    const taken = [];
    let acknowledged = 0;
    for (let step = 0; step < 200; step++) {
      switch (upTo(5)) {
        case 0: {
          const n = Math.min(resend.room, upTo(9000));
          const bytes = Uint8Array.from({ length: n }, (_, i) => byte(written + i));
          written += n;
          resend.sent(bytes);
          flying.push(...bytes);
          break;
        }
        case 1:
          flying.push(...(resend.again(upTo(5000) + 1) ?? []));
          break;
        case 2:
          taken.push(...flying.splice(0, upTo(8000)));
          break;
        case 3:
          acknowledged += upTo(taken.length - acknowledged + 1);
          if (random() < 0.7) resend.ack(acknowledged);
          break;
        case 4:
          if (random() > 0.3) break;
          flying = [];
          resend.resumed(taken.length);
          break;
      }
      assert.ok(resend.unacknowledged <= window, `seed ${seed}: beyond the window`);
    }
    flying = [];
    resend.resumed(taken.length);
    for (let bytes; (bytes = resend.again(16384));) taken.push(...bytes);
    assert.equal(taken.length, written, `seed ${seed}`);
    assert.ok(
      taken.every((value, at) => value === byte(at)),
      `seed ${seed}: another byte`,
    );
  }
});

test("an acknowledgement or a resume beyond what was sent is refused", () => {
  const resend = new Resend(4096);
  resend.sent(new Uint8Array(1000));
  resend.ack(400);
  assert.throws(() => resend.ack(1001), /not sent/);
  assert.throws(() => resend.resumed(399), /not sent/);
  assert.throws(() => resend.resumed(1001), /not sent/);
  resend.ack(300);
  assert.equal(resend.unacknowledged, 600);
});
