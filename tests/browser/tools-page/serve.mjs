// Serves the page of the tools beside a real daemon with one line `x`, as one origin, under the
// policy the console has.

import { fileURLToPath } from "node:url";
import { build } from "../../../web/node_modules/esbuild/lib/main.js";
import { forward, servePages, startGateway } from "../harness.mjs";

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; font-src 'self'; " +
  "base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'";
const HTML =
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>Tools</title>` +
  `<link rel="stylesheet" href="/page.css"><style>.place-view{position:relative;height:300px}.tool-hex-rows{min-height:150px}</style>` +
  `<script type="module" src="/page.js"></script><body></body></html>`;
let bundled;

async function bundle() {
  const here = (path) => fileURLToPath(new URL(path, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [here("page.js")],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    outdir: "out",
    nodePaths: [here("../../../web/node_modules")],
  });
  return Object.fromEntries(
    outputFiles.map(({ path, text }) => [path.endsWith(".css") ? "/page.css" : "/page.js", text]),
  );
}

/**
 * @param {string} address the device's
 * @param {{ line?: string, network?: (gateway: object) => Promise<string> }} [options] line: the
 *   endpoint in YAML; network: what lies between
 */
export async function serveTools(
  address,
  { line = `{ tcp: { address: "${address}" } }`, network } = {},
) {
  bundled ??= bundle();
  const pages = await bundled;
  const gateway = await startGateway({ yaml: `endpoints:\n  x: ${line}\n` });
  const front = await servePages({
    pages: { "/tools.html": HTML, ...pages },
    otherwise: forward((await network?.(gateway)) ?? gateway.direct),
  });
  return {
    url: `${front.origin}/tools.html?line=x`,
    async stop() {
      await front.stop();
      await gateway.stop();
    },
  };
}
