// What docs/guide.md prints for each proxy, read out of it, so that it is tried as it is printed.

import { readFileSync } from "node:fs";

/** All of the guide. */
export const page = readFileSync(new URL("../../docs/guide.md", import.meta.url), "utf8");

/**
 * The code blocks between the guide's heading of that text and the next heading, by language: `{
 * yaml: [..], nginx: [..] }`.
 */
export function blocks(heading) {
  const found = {};
  let [here, language, text] = [false, undefined, ""];
  for (const line of page.split("\n")) {
    if (language !== undefined) {
      if (line === "```")
        [found[language], language] = [[...(found[language] ?? []), text], undefined];
      else text += `${line}\n`;
    } else if (/^#+ /.test(line)) {
      if (here) return found;
      here = line.replace(/^#+ /, "") === heading;
    } else if (here && line.startsWith("```")) {
      [language, text] = [line.slice(3).split(" ")[0], ""];
    }
  }
  if (!here) throw new Error(`docs/guide.md has no heading "${heading}"`);
  return found;
}

/** The one block of a language below a heading, or the one of `count` at `index`. */
export function block(heading, language, [index, count] = [0, 1]) {
  const all = blocks(heading)[language] ?? [];
  if (all.length !== count)
    throw new Error(
      `"${heading}" of docs/guide.md has ${all.length} blocks of ${language}, not ${count}`,
    );
  return all[index];
}
