// The second step of the console's sign-in, for a user with a second factor, in Chromium: the code
// of an app, which this file computes itself, and recovery codes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { binary, startGateway } from "./harness.mjs";
import {
  broken,
  connected,
  consoleSuite,
  pictures,
  says,
  signIn,
  users,
} from "./harness/console.mjs";

const { skip, open } = consoleSuite();

/** What the app shows in a step of 30 s (RFC 6238). */
function app(secret, step) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...secret].map((one) => letters.indexOf(one).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const tag = createHmac("sha1", key).update(counter).digest();
  const number = tag.readUInt32BE(tag[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** A gateway on which alice has a second factor; its secret, the step that counted, the recovery codes. */
async function enrolled(t) {
  const folder = mkdtempSync(join(tmpdir(), "wsbridge-totp-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const socket = join(folder, "admin.sock");
  const gateway = await startGateway({
    yaml: `admin: { socket: ${socket} }\n${users()}endpoints:\n  echo: { sim: echo }\n`,
  });
  const child = spawn(binary, ["totp", "alice", "--socket", socket], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const step = Math.floor(Date.now() / 30_000);
  let secret;
  const recovery = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /secret=([A-Z2-7]+)/.exec(line)?.[1];
    if (found) {
      secret = found;
      child.stdin.end(`${app(secret, step)}\n`);
    }
    recovery.push(...(/^ {2}([a-z2-7]{4}(?:-[a-z2-7]{4}){3})$/.exec(line)?.slice(1) ?? []));
  }
  assert.equal(recovery.length, 10);
  return { gateway, secret, step, recovery };
}

test(
  "after the password the page asks for the code; a wrong one may be typed again, and a used one is told as such",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway, secret, step } = await enrolled(t);
    const page = await open(t, `${gateway.url}#/echo`, { bypassCSP: true });
    await signIn(page, "alice");
    const code = page.getByLabel("Code of your authenticator app");
    await code.waitFor();
    assert.ok(await code.evaluate((one) => one === document.activeElement));
    assert.equal(await code.getAttribute("inputmode"), "numeric");
    assert.equal(await code.getAttribute("autocomplete"), "one-time-code");
    assert.equal(await page.getByLabel("Password", { exact: true }).isVisible(), false);
    assert.deepEqual(await broken(page), []);
    await page.screenshot({ path: `${pictures}second-factor.png` });

    await code.fill(app(secret, step));
    await page.keyboard.press("Enter");
    await says(page, /This code has been used: wait for the next one\./);
    await code.fill("12");
    await page.keyboard.press("Enter");
    await says(page, /The code is not right\./);
    await page.screenshot({ path: `${pictures}second-factor-wrong.png` });
    await code.fill(app(secret, step + 1));
    await page.keyboard.press("Enter");
    await connected(page);
    const wrong = page.complaints.filter((text) => !/status of 401/.test(text));
    assert.deepEqual(wrong, []);
  },
);

test(
  "on a phone a recovery code does where the app's does, and the page says how many are left",
  { skip, timeout: 60_000 },
  async (t) => {
    const { gateway, recovery } = await enrolled(t);
    const page = await open(t, `${gateway.url}#/echo`, {
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
      colorScheme: "dark",
      bypassCSP: true,
    });
    await signIn(page, "alice");
    await page.getByRole("button", { name: "Back" }).click();
    assert.ok(await page.getByLabel("Password", { exact: true }).isVisible());
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Use a recovery code" }).click();
    const code = page.getByLabel("Recovery code");
    assert.equal(await code.getAttribute("inputmode"), "text");
    assert.deepEqual(await broken(page), []);
    await code.fill(recovery[0].toUpperCase());
    await page.screenshot({ path: `${pictures}second-factor-recovery.png` });
    await page.getByRole("button", { name: "Sign in" }).click();
    await says(page, /Signed in\. Recovery codes left: 9\./);
    await page.screenshot({ path: `${pictures}second-factor-left.png` });
    await page.getByRole("button", { name: "Go on" }).click();
    await page.locator(".terminal-host").waitFor();
  },
);
