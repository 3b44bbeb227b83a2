// `wsbridge login --browser` in Chromium: the gateway's page asks, and a code goes to the program.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { binary, eventually, startGateway } from "./harness.mjs";
import { consoleSuite, says, signIn, users } from "./harness/console.mjs";

const { skip, open } = consoleSuite();
const run = promisify(execFile);

/** `wsbridge login --browser` of a gateway, in a home of its own; its link and its end. */
async function login(t, gateway) {
  const home = mkdtempSync(join(tmpdir(), "wsbridge-home-"));
  const env = { ...process.env, XDG_CONFIG_HOME: home, BROWSER: "true", WSBRIDGE_TOKEN: "" };
  const child = spawn(binary, ["login", gateway.url, "--browser"], { env });
  let said = "";
  child.stderr.on("data", (bytes) => (said += bytes));
  const end = new Promise((done) => child.on("exit", done));
  t.after(() => {
    child.kill();
    rmSync(home, { recursive: true });
  });
  const link = await eventually(() => /https?:\/\/\S+#port=\S+/.exec(said)?.[0], "the link");
  return { link, end, env, home, said: () => said };
}

test(
  "the page names the computer and asks; after a click the program is signed in, and listed",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const program = await login(t, gateway);
    const page = await open(t, program.link);
    await says(page, /asks to be signed in/);
    await signIn(page, "alice");
    await says(page, /Sign this computer in\?/);
    const name = new URLSearchParams(new URL(program.link).hash.slice(1)).get("program");
    assert.ok((await page.innerText("main")).includes(name));
    await page.getByRole("button", { name: "Sign it in" }).click();
    await says(page, /Signed in\. You may close this page\./);
    assert.equal(await program.end, 0, program.said());

    const folder = join(program.home, "wsbridge");
    const file = join(folder, readdirSync(folder)[0]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { token, user } = JSON.parse(readFileSync(file, "utf8"));
    assert.equal(user, "alice");
    const { stdout } = await run(binary, ["connect", gateway.url, "--json"], { env: program.env });
    assert.equal(JSON.parse(stdout).endpoints[0].name, "echo");

    // The page's own sign-in lists it, and ends it.
    await page.goto(gateway.url);
    const ended = await page.evaluate(async () => {
      const { logins } = await (await fetch("/api/logins")).json();
      const one = logins.find(({ program }) => program);
      const body = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
      return (await fetch(`/api/logins/${one.id}/end`, body)).status;
    });
    assert.equal(ended, 204);
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await fetch(`${gateway.url}api/session`, { headers })).status, 401);
  },
);

test(
  "denied in the page, the program ends with 1 and keeps nothing",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const program = await login(t, gateway);
    const page = await open(t, program.link);
    await signIn(page, "alice");
    await page.getByRole("button", { name: "Deny" }).click();
    await says(page, /Not signed in/);
    assert.equal(await program.end, 1);
    assert.match(program.said(), /denied in the browser/);
    assert.deepEqual(readdirSync(program.home), []);
  },
);

test(
  "no page shows it in a frame, and without a program's link it decides nothing",
  { skip, timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: `${users()}endpoints:\n  echo: { sim: echo }\n` });
    const { headers } = await fetch(`${gateway.url}signin`);
    assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
    assert.equal(headers.get("cache-control"), "no-store");
    const page = await open(t, `${gateway.url}signin`);
    await says(page, /Nothing to decide/);
  },
);

test(
  "a user whom a proxy has signed in is told what to do instead",
  { skip, timeout: 60_000 },
  async (t) => {
    const sum = createHash("sha256").update("wsb_proxy").digest("hex");
    const proxies = `trusted_proxies:
  addresses: [ 127.0.0.1 ]
  user_header: Remote-User
  secret: { header: X-Gateway-Secret, sha256: "${sum}" }
`;
    const yaml = `${users()}${proxies}endpoints:\n  echo: { sim: echo }\n`;
    const gateway = await startGateway({ yaml });
    const program = await login(t, gateway);
    const extraHTTPHeaders = { "Remote-User": "alice", "X-Gateway-Secret": "wsb_proxy" };
    const page = await open(t, program.link, { extraHTTPHeaders });
    await says(page, /Not possible here/);
    await says(page, /The proxy in front of the gateway has signed you in/);
    assert.equal(await page.getByRole("button", { name: "Sign it in" }).count(), 0);
  },
);
