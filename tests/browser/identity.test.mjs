// Signing in at an identity provider that nobody here wrote, in Chromium.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startGateway } from "./harness.mjs";
import { connected, consoleSuite, users } from "./harness/console.mjs";
import { startIssuer } from "./harness/issuer.mjs";

const { skip, open } = consoleSuite();

/** Goes through the provider's pages. */
async function throughTheIssuer(page, name) {
  await page.getByRole("button", { name: "Sign in with Plant account" }).click();
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: "Continue" }).click();
}

for (const method of ["client_secret_basic", "client_secret_post"])
  test(
    `a browser signs in at the provider (${method}), stays signed in, and signs out`,
    { skip, timeout: 60_000 },
    async (t) => {
      const issuer = await startIssuer({ token_endpoint_auth_method: method });
      const gateway = await startGateway({
        yaml: `${users()}${issuer.yaml}endpoints:\n  echo: { sim: echo }\n`,
      });
      issuer.admit(gateway.url);
      const page = await open(t, `${gateway.url}#/echo`);
      const callbacks = [];
      page.on("request", (request) => {
        if (request.url().includes("/api/oidc/callback")) callbacks.push(request.url());
      });
      await throughTheIssuer(page, "anna");
      const signedIn = page.getByRole("button", { name: "Signed in as corp/anna" });
      await signedIn.waitFor();
      await connected(page);
      assert.equal(new URL(page.url()).hash, "#/echo", "it goes on where it was");
      await page.reload();
      await signedIn.waitFor();
      const cookies = await page.context().cookies();
      const own = cookies.find(({ name }) => name.startsWith("sid"));
      assert.deepEqual([own.sameSite, own.httpOnly], ["Strict", true]);
      assert.ok(
        !cookies.some(({ name }) => name.startsWith("oidc")),
        "the cookie of the way is gone",
      );

      // What brought it in is good for nothing now.
      assert.equal(callbacks.length, 1);
      const again = await page.context().request.get(callbacks[0]);
      assert.equal(again.status(), 400);
      // Nor is its code with the state and the cookie of another beginning.
      const begun = await page.context().request.post(`${gateway.url}api/oidc`, {
        headers: { origin: new URL(gateway.url).origin },
        data: { issuer: "corp" },
      });
      const { url } = await begun.json();
      const mixed = new URL(callbacks[0]);
      mixed.searchParams.set("state", new URL(url).searchParams.get("state"));
      assert.equal((await page.context().request.get(mixed.href)).status(), 400);

      await signedIn.click();
      await page.getByRole("menuitem", { name: "Sign out" }).click();
      await page.getByLabel("User").waitFor();
      await page.reload();
      await page.getByLabel("User").waitFor();
      assert.match(gateway.log(), /signed in.*corp\/anna/);
      assert.ok(!gateway.log().includes(new URL(callbacks[0]).searchParams.get("code")));
    },
  );

test(
  "a provider that does not answer is told, and whoever changes his mind is let go on",
  { skip, timeout: 60_000 },
  async (t) => {
    const issuer = await startIssuer();
    const gateway = await startGateway({
      yaml: `${users()}${issuer.yaml}endpoints:\n  echo: { sim: echo }\n`,
    });
    const page = await open(t, gateway.url);
    await page.getByRole("button", { name: "Sign in with Plant account" }).click();
    await page.getByText("corp cannot be reached").waitFor();
    await page.goto(`${gateway.url}api/oidc/callback?error=access_denied&state=x`);
    await page.getByRole("link", { name: "Go on" }).click();
    await page.getByLabel("User").waitFor();
  },
);
