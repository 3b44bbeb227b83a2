// Assembles the page: node build.mjs OUT writes every file the gateway serves into OUT, and OUT/manifest.json.
//
// The manifest is a list of { path, file, type, immutable }: the path in the URL, the file in OUT, its media type, and whether the
// name changes with the content. `build.rs` embeds them; nothing else of this folder reaches the gateway.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out || out.startsWith("-")) {
  console.error("usage: node build.mjs OUT\n\nWrites the assembled page and its manifest.json into the folder OUT.");
  process.exit(64);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const manifest = [];

/** Writes one file and its line in the manifest; `path` is where the gateway serves it. */
function asset(path, type, content, immutable = false) {
  const file = path.slice(1).replaceAll("/", "_") || "index.html";
  writeFileSync(join(out, file), content);
  manifest.push({ path, file, type, immutable });
}

/** Bundles one entry point and gives the files that came of it, by extension. */
async function bundle(entry, options) {
  const result = await build({
    entryPoints: [join(here, entry)],
    bundle: true,
    minify: true,
    legalComments: "none",
    target: ["es2022"],
    write: false,
    outdir: "out",
    logLevel: "warning",
    ...options,
  });
  return Object.fromEntries(result.outputFiles.map(({ path, contents }) => [path.replace(/.*\./, ""), contents]));
}

/** A name that changes with the content, so that browsers may keep the file for ever. */
function hashed(stem, extension, content) {
  return `/assets/${stem}.${createHash("sha256").update(content).digest("hex").slice(0, 12)}.${extension}`;
}

const page = await bundle("console/main.js", { format: "esm" });
const script = hashed("console", "js", page.js);
const style = hashed("console", "css", page.css);
asset(script, "text/javascript; charset=utf-8", page.js, true);
asset(style, "text/css; charset=utf-8", page.css, true);
const html = readFileSync(join(here, "console/index.html"), "utf8");
asset("/", "text/html; charset=utf-8", html.replace("main.css", style).replace("main.js", script));

const classic = await bundle("client/webserial.js", { format: "iife" });
asset("/webserial.js", "text/javascript; charset=utf-8", classic.js);
const module = await bundle("client/index.js", { format: "esm" });
asset("/client.mjs", "text/javascript; charset=utf-8", module.js);

writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
