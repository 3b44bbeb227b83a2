// The gateway behind nginx, HAProxy, Caddy and Apache of Debian, each with the block that
// docs/guide.md prints.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import {
  eventually,
  launch,
  missing,
  servePages,
  startGateway,
  stopAll,
} from "../browser/harness.mjs";
import {
  PASSWORD,
  connected,
  openPage,
  shows,
  signIn,
  users,
} from "../browser/harness/console.mjs";
import { ask, cookie, echoed, login, socket } from "./client.mjs";
import { block, blocks, page } from "./guide.mjs";
import { NAME, freePort, htpasswd, lacks, people, startProxy } from "./proxy.mjs";

const HEADING = "Behind a reverse proxy";
export const kinds = { nginx: "nginx", haproxy: "haproxy", caddy: "caddyfile", apache: "apache" };
const lines = `${users()}endpoints:\n  echo: { sim: echo }\n`;
let browser;

before(async () => {
  if (!missing("chromium"))
    browser = await launch("chromium", { args: [`--host-resolver-rules=MAP ${NAME} 127.0.0.1`] });
});
after(stopAll);

/** The gateway as the guide configures it, on a free port, and the way to it. */
async function behind(
  kind,
  text = block(HEADING, kinds[kind]),
  { yaml = block(HEADING, "yaml"), replace = [] } = {},
) {
  const gateway = await startGateway({
    yaml: yaml.replaceAll("127.0.0.1:8080", "127.0.0.1:0") + lines,
  });
  const proxy = await startProxy(kind, text, [
    ["127.0.0.1:8080", gateway.addresses[0]],
    ...replace,
  ]);
  return { gateway, proxy };
}

for (const kind of Object.keys(kinds)) {
  const skip = lacks(kind);

  test(
    `behind ${kind} people sign in on another port than 443 and use a line in the console`,
    { skip: skip ?? missing("chromium"), timeout: 90_000 },
    async (t) => {
      const { gateway, proxy } = await behind(kind);
      const page = await openPage(t, browser, `${proxy.url}#/echo`, { ignoreHTTPSErrors: true });
      await signIn(page, "alice");
      await connected(page);
      await page.locator(".terminal-host").click();
      await page.keyboard.type("through the proxy");
      await shows(page, /through the proxy/);
      const [set] = await page.context().cookies();
      assert.deepEqual(
        [set.name, set.secure, set.sameSite],
        [`__Host-sid-${proxy.port}`, true, "Strict"],
      );
      assert.deepEqual(
        page.complaints.filter((text) => !/status of 401/.test(text)),
        [],
      );
      await Promise.all([proxy.stop(), gateway.stop()]);
    },
  );

  test(
    `behind ${kind} the log has the client's address, and who guesses locks out itself alone`,
    { skip, timeout: 90_000 },
    async () => {
      const { gateway, proxy } = await behind(kind);
      const signedIn = await login(proxy.url, PASSWORD, { from: "127.0.0.6" });
      assert.equal(signedIn.status, 200, signedIn.text);
      await eventually(
        () => /signed in.*peer=127\.0\.0\.6/.test(gateway.log()),
        "the address in the log",
      );
      const one = await socket(`${proxy.url}ws/echo`, {
        from: "127.0.0.6",
        headers: { origin: new URL(proxy.url).origin, cookie: cookie(signedIn) },
      });
      assert.equal(await echoed(one, "hello"), "hello");
      await eventually(
        () => /session opened.*peer=127\.0\.0\.6/.test(gateway.log()),
        "the session's address",
      );
      one.close();
      // Whatever a client says it is: each try names somebody else.
      const spoofed = (n) => ({
        "x-forwarded-for": `203.0.113.${n}`,
        "x-real-ip": `203.0.113.${n}`,
        forwarded: `for=203.0.113.${n};host=evil.example;proto=https`,
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
      });
      for (let n = 0; n < 20; n += 1) {
        const { status } = await login(proxy.url, "a guess", {
          from: "127.0.0.5",
          headers: spoofed(n),
        });
        assert.equal(status, 401, `try ${n}`);
      }
      assert.equal(
        (await login(proxy.url, PASSWORD, { from: "127.0.0.5", headers: spoofed(99) })).status,
        429,
      );
      assert.equal(
        (await login(proxy.url, PASSWORD, { from: "127.0.0.6" })).status,
        200,
        "another client",
      );
      assert.ok(!/peer=203\.0\.113/.test(gateway.log()), gateway.log());
      await Promise.all([proxy.stop(), gateway.stop()]);
    },
  );
}

test(
  "a gateway at / and one below /serial/ of the same host do not disturb each other's sign-in",
  { skip: lacks("nginx") ?? missing("chromium"), timeout: 90_000 },
  async (t) => {
    const heading = "Below a path";
    const yaml = block(heading, "yaml", [0, 2]);
    const port = await freePort();
    const top = await startGateway({
      yaml: block(HEADING, "yaml").replaceAll("127.0.0.1:8080", "127.0.0.1:0") + lines,
    });
    const below = await startGateway({
      yaml:
        yaml.replaceAll("127.0.0.1:8080", "127.0.0.1:0").replace(NAME, `${NAME}:${port}`) + lines,
    });
    const location = block(heading, "nginx").replaceAll("127.0.0.1:8080", below.addresses[0]);
    const both = block(HEADING, "nginx").replace("    location / {", `${location}    location / {`);
    const proxy = await startProxy("nginx", both, [["127.0.0.1:8080", top.addresses[0]]], port);
    const page = await openPage(t, browser, `${proxy.url}serial/#/echo`, {
      ignoreHTTPSErrors: true,
    });
    await signIn(page, "alice");
    await connected(page);
    await page.locator(".terminal-host").click();
    await page.keyboard.type("below a path");
    await shows(page, /below a path/);
    const other = await page.context().newPage();
    await other.goto(`${proxy.url}#/echo`);
    await signIn(other, "bob");
    await connected(other);
    for (const [one, user] of [
      [page, "alice"],
      [other, "bob"],
    ]) {
      await one.reload();
      await connected(one);
      assert.equal(
        await one.evaluate(async () => (await (await fetch("api/session")).json()).user),
        user,
      );
    }
    const found = await page.evaluate(async () => {
      const { diagnose, createSerial } = await import(new URL("client.mjs", location.href).href);
      const { reason } = await diagnose(new URL("ws/echo", location.href));
      const serial = createSerial({ url: location.href, endpoints: ["echo"], granted: ["echo"] });
      const port = await serial.requestPort();
      return { reason, endpoint: port.endpoint };
    });
    assert.deepEqual(found, { reason: "ok", endpoint: "echo" });
    assert.deepEqual(
      page.complaints.filter((text) => !/status of 401/.test(text)),
      [],
    );
    for (const one of [proxy, below, top]) await one.stop();
  },
);

test(
  "a proxy's own password disturbs nobody: people sign in and use the console behind nginx's auth_basic",
  { skip: lacks("nginx") ?? missing("chromium"), timeout: 90_000 },
  async (t) => {
    const text = block(HEADING, "nginx").replace(
      "    location / {",
      "    auth_basic proxy;\n    auth_basic_user_file HTPASSWD;\n    location / {",
    );
    const { gateway, proxy } = await behind("nginx", text, { replace: [["HTPASSWD", htpasswd()]] });
    const page = await openPage(t, browser, `${proxy.url}#/echo`, {
      ignoreHTTPSErrors: true,
      httpCredentials: { username: "carol", password: "of the proxy" },
    });
    for (let n = 0; n < 25; n += 1) await page.reload();
    await signIn(page, "alice");
    await connected(page);
    assert.ok(!/too many wrong/.test(gateway.log()), gateway.log());
    await Promise.all([proxy.stop(), gateway.stop()]);
  },
);

for (const kind of Object.keys(kinds))
  test(
    `who has signed in with ${kind} is signed in, and no foreign page or program of the machine is`,
    { skip: lacks(kind) ?? missing("chromium"), timeout: 90_000 },
    async (t) => {
      const heading = "Sign-in by the proxy";
      const yaml = block(heading, "yaml").replace(
        '"..."',
        `"${createHash("sha256").update("wsb_THE_TOKEN").digest("hex")}"`,
      );
      const { gateway, proxy } = await behind(kind, block(heading, kinds[kind]), {
        yaml,
        replace: people(kind),
      });
      const page = await openPage(t, browser, `${proxy.url}#/echo`, {
        ignoreHTTPSErrors: true,
        httpCredentials: { username: "alice", password: "of the proxy" },
      });
      await connected(page);
      await page.locator(".terminal-host").click();
      await page.keyboard.type("no second password");
      await shows(page, /no second password/);
      // A page of somebody else, in the same browser, which has the proxy's password.
      const foreign = await servePages({ pages: { "/": "<!doctype html>" } });
      const other = await page.context().newPage();
      await other.goto(foreign.url);
      const tried = await other.evaluate(
        (url) =>
          new Promise((done) => {
            const one = new WebSocket(url);
            one.onopen = () => done("open");
            one.onclose = ({ code }) => done(code);
          }),
        `${proxy.url.replace("https", "wss")}ws/echo`,
      );
      assert.equal(tried, 1006);
      const asked = {
        headers: {
          authorization: `Basic ${Buffer.from("alice:of the proxy").toString("base64")}`,
          origin: "https://evil.example",
        },
      };
      await assert.rejects(socket(`${proxy.url}ws/echo`, asked), { status: 403 });
      // `curl -H Remote-User: alice` on the gateway's machine, past the proxy.
      const direct = await fetch(`${gateway.direct}api/session`, {
        headers: { "remote-user": "alice", "sec-fetch-site": "same-origin" },
      });
      assert.equal(direct.status, 401);
      // And through it, as somebody else: the proxy's word replaces the client's.
      const carol = {
        authorization: `Basic ${Buffer.from("alice:of the proxy").toString("base64")}`,
        "remote-user": "bob",
        "sec-fetch-site": "same-origin",
      };
      assert.equal(
        JSON.parse((await ask(new URL("api/session", proxy.url), { headers: carol })).text).user,
        "alice",
      );
      await Promise.all([proxy.stop(), gateway.stop(), foreign.stop()]);
    },
  );

for (const kind of ["haproxy", "caddy", "apache"])
  test(
    `below a path that ${kind} names people sign in, and page and client work`,
    { skip: lacks(kind) ?? missing("chromium"), timeout: 90_000 },
    async (t) => {
      const heading = "Below a path";
      const { gateway, proxy } = await behind(kind, block(heading, kinds[kind]), {
        yaml: block(heading, "yaml", [1, 2]),
      });
      const url = `${proxy.url}serial/`;
      const page = await openPage(t, browser, `${url}#/echo`, { ignoreHTTPSErrors: true });
      await signIn(page, "alice");
      await connected(page);
      await page.locator(".terminal-host").click();
      await page.keyboard.type("below a path");
      await shows(page, /below a path/);
      const reason = await page.evaluate(async () => {
        const { diagnose } = await import(new URL("client.mjs", location.href).href);
        return (await diagnose(new URL("ws/echo", location.href))).reason;
      });
      assert.equal(reason, "ok");
      assert.deepEqual(
        page.complaints.filter((text) => !/status of 401/.test(text)),
        [],
      );
      // The cookie's name tells paths apart: it is the proxy's path, whatever a client says.
      const [set] = await page.context().cookies();
      const named = (answer) => cookie(answer).split("=")[0];
      const spoofed = { "x-forwarded-prefix": "/evil" };
      assert.equal(named(await login(url, PASSWORD)), set.name);
      assert.equal(named(await login(url, PASSWORD, { headers: spoofed })), set.name);
      assert.notEqual(set.name, `__Host-sid-${proxy.port}`);
      await Promise.all([proxy.stop(), gateway.stop()]);
    },
  );

test(
  "behind two proxies in a row each client counts for itself",
  { skip: lacks("haproxy") ?? lacks("nginx"), timeout: 90_000 },
  async () => {
    const { gateway, proxy: inner } = await behind("nginx", block("Two in a row", "nginx"), {
      yaml: block("Two in a row", "yaml"),
    });
    const outer = await startProxy("haproxy", block(HEADING, "haproxy"), [
      ["127.0.0.1:8080", `127.0.0.1:${inner.port}`],
      [
        "option httpchk",
        /http-check send .*/.exec(page)[0].replace(/^/, "option httpchk\n    ").replace(/`.*/, ""),
      ],
    ]);
    for (let n = 0; n < 20; n += 1)
      assert.equal((await login(outer.url, "a guess", { from: "127.0.0.5" })).status, 401);
    assert.equal((await login(outer.url, PASSWORD, { from: "127.0.0.5" })).status, 429);
    assert.equal((await login(outer.url, PASSWORD, { from: "127.0.0.6" })).status, 200);
    await eventually(
      () => /signed in.*peer=127\.0\.0\.6/.test(gateway.log()),
      "the address in the log",
    );
    for (const one of [outer, inner, gateway]) await one.stop();
  },
);

for (const how of ["send-proxy-v2", "send-proxy"])
  test(
    `HAProxy passes connections on as they are, and says first whom for, by ${how}`,
    { skip: lacks("haproxy"), timeout: 90_000 },
    async () => {
      const {
        haproxy: [text],
        yaml: [yaml],
      } = blocks("TLS at the gateway (PROXY protocol)");
      const gateway = await startGateway({
        yaml: yaml.replaceAll("127.0.0.1:8443", "127.0.0.1:0") + lines,
      });
      const proxy = await startProxy("haproxy", text, [
        ["127.0.0.1:8443", gateway.addresses[0]],
        ["send-proxy-v2", how],
      ]);
      for (let n = 0; n < 20; n += 1)
        assert.equal((await login(proxy.url, "a guess", { from: "127.0.0.5" })).status, 401);
      assert.equal((await login(proxy.url, PASSWORD, { from: "127.0.0.5" })).status, 429);
      const signedIn = await login(proxy.url, PASSWORD, { from: "127.0.0.6" });
      assert.equal(signedIn.status, 200);
      await eventually(
        () => /signed in.*peer=127\.0\.0\.6:\d+/.test(gateway.log()),
        "the address in the log",
      );
      const one = await socket(`${proxy.url}ws/echo`, {
        from: "127.0.0.6",
        headers: { origin: new URL(proxy.url).origin, cookie: cookie(signedIn) },
      });
      assert.equal(await echoed(one, "hello"), "hello");
      one.close();
      assert.ok(!/reason=proxy/.test(gateway.log()), "its health checks are answered");
      await Promise.all([proxy.stop(), gateway.stop()]);
    },
  );
