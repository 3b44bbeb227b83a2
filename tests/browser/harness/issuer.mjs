// A real identity provider (npm oidc-provider), whose only program is a gateway.

import { createServer } from "node:http";
import { Provider } from "oidc-provider";
import { started } from "./life.mjs";

/**
 * Listens; `admit(gateway)` makes the provider, once the gateway's address is known. People of any
 * name and password are let in, and are in the group `plc-team`.
 * @param {object} [more] settings of the gateway as a client
 */
export async function startIssuer(more = {}) {
  let answer = (request, response) => response.writeHead(503).end();
  const server = createServer((request, response) => answer(request, response));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${port}`;
  started({
    stop: () => new Promise((done) => (server.closeAllConnections(), server.close(done))),
  });
  const secret = "a secret of the suite";
  return {
    url,
    secret,
    /** The part of a gateway's configuration. */
    yaml: `issuers:\n  corp:\n    issuer: "${url}"\n    claims: { groups: { plc-team: [ all ] } }\n    oidc: { client_id: gateway, client_secret: "${secret}", title: Plant account }\n`,
    admit(gateway) {
      const provider = new Provider(url, {
        clients: [
          {
            client_id: "gateway",
            client_secret: secret,
            redirect_uris: [new URL("api/oidc/callback", gateway).href],
            require_auth_time: true,
            ...more,
          },
        ],
        claims: { openid: ["sub", "groups"] },
        conformIdTokenClaims: false,
        findAccount: (_, id) => ({
          accountId: id,
          claims: () => ({ sub: id, groups: ["plc-team"] }),
        }),
      });
      answer = provider.callback();
    },
  };
}
