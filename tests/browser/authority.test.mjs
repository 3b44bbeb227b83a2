// The gateway's own authority in browsers that trust it: they accept the gateway, and refuse a
// foreign name that its key has signed. And what the page says about it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { binary, launch, missing, startGateway, started, stopAll } from "./harness.mjs";
import { broken, openPage, pictures, says, signIn, users } from "./harness/console.mjs";

const tools = ["/usr/bin/openssl", "/usr/bin/certutil"].filter((path) => !existsSync(path));
const lacks = tools.length > 0 ? `${tools.join(", ")} is not there` : undefined;
const folder = mkdtempSync(join(tmpdir(), "wsbridge-authority-"));
after(async () => {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
});

const config = (more = "") =>
  `listen: [ { address: "127.0.0.1:0" } ]\n${more}endpoints:\n  echo: { sim: echo }\n`;
const run = (command, ...args) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** An authority that may sign for everything: nothing else is wrong with what is refused. */
function boundless() {
  const [key, crt] = [join(folder, "free.key"), join(folder, "free.crt")];
  run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key);
  run(
    ...["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=boundless", "-days", "30"],
    ...["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-out", crt],
    ...["-addext", "keyUsage=critical,keyCertSign"],
  );
  return { key, crt };
}

/** Serves a page for `name` with a certificate that this authority has signed; returns the port. */
async function foreign(name, { crt, key: signer }) {
  const file = (end) => join(folder, `${name}.${end}`);
  const [key, request, extensions, leaf] = ["key", "csr", "ext", "pem"].map(file);
  const kind = /^[\d.]+$/.test(name) ? "IP" : "DNS";
  run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", key);
  run("openssl", "req", "-new", "-key", key, "-subj", `/CN=${name}`, "-out", request);
  writeFileSync(
    extensions,
    `subjectAltName=${kind}:${name}\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\n` +
      "keyUsage=critical,digitalSignature\nauthorityKeyIdentifier=keyid\n",
  );
  run(
    ...["openssl", "x509", "-req", "-in", request, "-CA", crt, "-CAkey", signer, "-days", "30"],
    ...["-extfile", extensions, "-CAcreateserial", "-CAserial", file("srl"), "-out", leaf],
  );
  const server = createServer({ key: readFileSync(key), cert: readFileSync(leaf) }, (_, answer) =>
    answer.end("<!doctype html><title>foreign</title>"),
  );
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
  started({ stop: async () => server.closeAllConnections?.() ?? server.close() });
  return /** @type {import("node:net").AddressInfo} */ (server.address()).port;
}

/** Makes the NSS database in this folder trust these authorities. */
function trusting(where, ...authorities) {
  mkdirSync(where, { recursive: true });
  if (!existsSync(join(where, "cert9.db")))
    run("certutil", "-d", `sql:${where}`, "-N", "--empty-password");
  authorities.forEach((crt, n) =>
    run("certutil", "-d", `sql:${where}`, "-A", "-t", "C,,", "-n", `authority ${n}`, "-i", crt),
  );
}

/** A browser in which all names resolve to this machine, and which trusts these authorities. */
function launchTrusting(engine, ...authorities) {
  if (engine === "firefox")
    return launch(engine, {
      prepare: (profile) => trusting(profile, ...authorities),
      preferences: { "network.dns.forceResolve": "127.0.0.1", "dom.security.https_first": false },
    });
  const home = mkdtempSync(join(folder, "home-"));
  trusting(join(home, ".pki/nssdb"), ...authorities);
  return launch(engine, {
    args: ["--host-resolver-rules=MAP * 127.0.0.1"],
    env: { HOME: home, XDG_DATA_HOME: join(home, ".local/share") },
  });
}

for (const engine of ["chromium", "firefox"]) {
  test(
    `${engine} that trusts the authority takes the gateway, and no foreign name that its key has signed`,
    { skip: missing(engine) ?? lacks, timeout: 120_000 },
    async () => {
      const gateway = await startGateway({ yaml: config("hosts: [ gateway.example ]\n") });
      const { port } = new URL(gateway.direct);
      const tls = join(gateway.file, "../tls");
      const own = { crt: join(tls, "ca.crt"), key: join(tls, "ca.key") };
      const free = boundless();
      const browser = await launchTrusting(engine, own.crt, free.crt);
      const takes = async (url) => {
        // What the engine shows of a refusal is a page, too, and appears in its own time.
        const page = await browser.another();
        try {
          await page.goto(url);
          return (await page.evaluate(() => document.title)) || "a page";
        } catch (error) {
          return `refused: ${error.message ?? error}`;
        } finally {
          await page.close();
        }
      };
      for (const name of ["gateway.example", "localhost", "127.0.0.1"])
        assert.doesNotMatch(await takes(`https://${name}:${port}/`), /refused/, name);
      const foreigners = engine === "chromium" ? ["bank.example", "203.0.113.8"] : ["bank.example"];
      for (const name of foreigners) {
        const free_one = await takes(`https://${name}:${await foreign(name, free)}/`);
        assert.equal(free_one, "foreign", "nothing else is wrong with it");
        const stolen = await takes(`https://${name}:${await foreign(name, own)}/`);
        assert.match(stolen, /refused: .*(ERR_CERT|SEC_ERROR|NS_ERROR|insecure|certificate)/is);
      }
    },
  );
}

test(
  "the page shows the fingerprint before anybody signs in, how to trust it, and what an administrator has to do",
  { skip: missing("chromium") ?? lacks, timeout: 120_000 },
  async (t) => {
    const gateway = await startGateway({ yaml: config(users()) });
    const authority = join(gateway.file, "../tls/ca.crt");
    const shown = run(binary, "ca", "show", gateway.file);
    const sum = /SHA-256\s+(\S+)/.exec(shown)[1].replaceAll(":", " ");
    const browser = await launchTrusting("chromium", authority);
    const url = gateway.direct.replace("127.0.0.1", "localhost");
    const phone = { viewport: { width: 390, height: 844 }, bypassCSP: true };
    const page = await openPage(t, browser, url, phone);
    assert.equal(await page.locator(".signin .fingerprint").innerText(), sum);
    mkdirSync(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, "authority-signin.png") });
    assert.deepEqual(await broken(page), []);
    await page.getByRole("button", { name: "Trust it on this device" }).click();
    await page.getByRole("heading", { name: "Trust this gateway" }).waitFor();
    assert.deepEqual(await broken(page), []);
    await page.screenshot({ path: join(pictures, "authority-how.png") });
    const href = await page.getByRole("link", { name: "ca.crt" }).getAttribute("href");
    assert.equal(href, `${url}ca.crt`);
    await page.getByRole("button", { name: "Close" }).click();
    await page.setViewportSize({ width: 1280, height: 800 });

    await gateway.reload((text) => `hosts: [ gateway.example ]\n${text}`);
    await signIn(page, "alice");
    await says(page, /certificate is not good for gateway\.example.*wsbridge ca new --replace/);
    await page.getByRole("button", { name: "Signed in as alice" }).click();
    await page.getByRole("menuitem", { name: "About this login" }).click();
    assert.equal(await page.locator("dialog .fingerprint").innerText(), sum);
    await page.screenshot({ path: join(pictures, "authority-about.png") });
    assert.deepEqual(await broken(page), []);
    // The answer that somebody has to sign in is not an error of the page.
    assert.deepEqual(
      page.complaints.filter((text) => !text.includes("401")),
      [],
    );
    t.diagnostic(`pictures in ${pictures}`);
  },
);
