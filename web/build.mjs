// Assembles the page: node build.mjs OUT writes every file the gateway serves into OUT, and
// OUT/manifest.json.
//
// The manifest is a list of { path, file, gzip, length, etag, type, immutable, shared }: the path
// in the URL, the file in OUT and its compressed twin, the file's length in bytes, a hash of its
// content, its media type, whether the name changes with the content, and whether pages of other
// origins may load it. `build.rs` embeds the compressed ones; nothing else of this folder reaches
// the gateway.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out || out.startsWith("-")) {
  console.error(
    "usage: node build.mjs OUT\n\nWrites the assembled page and its manifest.json into the folder OUT.",
  );
  process.exit(64);
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const manifest = [];

/**
 * Writes one file, its compressed twin and its line in the manifest; `path` is where the gateway
 * serves it.
 */
function asset(path, type, content, { immutable = false, shared = false } = {}) {
  const file = path.slice(1).replaceAll("/", "_") || "index.html";
  const gzip = `${file}.gz`;
  const bytes = Buffer.from(content);
  writeFileSync(join(out, file), bytes);
  writeFileSync(join(out, gzip), gzipSync(bytes, { level: 9 }));
  manifest.push({
    path,
    file,
    gzip,
    length: bytes.length,
    etag: digest(bytes),
    type,
    immutable,
    shared,
  });
}

/** Names content: the first 48 bits of its SHA-256. */
function digest(content) {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}

/**
 * Bundles one entry point and returns the resulting files by extension; `parts` are those that are
 * loaded later.
 */
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
  const own = basename(entry, ".js");
  const isOwn = ({ path }) => basename(path).replace(/\.(js|css)$/, "") === own;
  const files = Object.fromEntries(
    result.outputFiles
      .filter(isOwn)
      .map(({ path, contents }) => [path.replace(/.*\./, ""), contents]),
  );
  const parts = result.outputFiles
    .filter((file) => !isOwn(file))
    .map(({ path, contents }) => ({ name: basename(path), contents }));
  return { ...files, parts };
}

/** A name that changes with the content, so that browsers may keep the file for ever. */
function hashed(stem, extension, content) {
  return `/assets/${stem}.${digest(content)}.${extension}`;
}

// Code for a view that few people open is loaded when the view is opened: it is a file of its own,
// beside the script that asks for it.
const { parts, ...page } = await bundle("console/main.js", {
  format: "esm",
  splitting: true,
  chunkNames: "[name].[hash]",
});
for (const { name, contents } of parts)
  asset(`/assets/${name}`, "text/javascript; charset=utf-8", contents, { immutable: true });
const script = hashed("console", "js", page.js);
const style = hashed("console", "css", page.css);
asset(script, "text/javascript; charset=utf-8", page.js, { immutable: true });
asset(style, "text/css; charset=utf-8", page.css, { immutable: true });
const html = readFileSync(join(here, "console/index.html"), "utf8");
// Relative addresses: the page may be below a path of a proxy. In a frame of another site it has an
// address of its own, and the same files.
const assembled = html.replace("main.css", style.slice(1)).replace("main.js", script.slice(1));
for (const path of ["/", "/embed"]) asset(path, "text/html; charset=utf-8", assembled);

// The window that asks whether a page of another origin may use lines.
const grant = await bundle("console/grant/grant.js", { format: "esm" });
const [grantScript, grantStyle] = [
  hashed("grant", "js", grant.js),
  hashed("grant", "css", grant.css),
];
asset(grantScript, "text/javascript; charset=utf-8", grant.js, { immutable: true });
asset(grantStyle, "text/css; charset=utf-8", grant.css, { immutable: true });
const window = readFileSync(join(here, "console/grant/index.html"), "utf8");
asset(
  "/grant",
  "text/html; charset=utf-8",
  window.replace("grant.css", grantStyle.slice(1)).replace("grant.js", grantScript.slice(1)),
);

// The page on which somebody signs a program of their computer in.
const program = await bundle("console/program/program.js", { format: "esm" });
const [programScript, programStyle] = [
  hashed("program", "js", program.js),
  hashed("program", "css", program.css),
];
asset(programScript, "text/javascript; charset=utf-8", program.js, { immutable: true });
asset(programStyle, "text/css; charset=utf-8", program.css, { immutable: true });
const signsIn = readFileSync(join(here, "console/program/index.html"), "utf8");
asset(
  "/signin",
  "text/html; charset=utf-8",
  signsIn
    .replace("program.css", programStyle.slice(1))
    .replace("program.js", programScript.slice(1)),
);

const classic = await bundle("client/webserial.js", { format: "iife" });
asset("/webserial.js", "text/javascript; charset=utf-8", classic.js, { shared: true });
const module = await bundle("client/index.js", { format: "esm" });
asset("/client.mjs", "text/javascript; charset=utf-8", module.js, { shared: true });

writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
