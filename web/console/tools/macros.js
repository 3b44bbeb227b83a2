// An endpoint's text macros: their shape, what a file of them must look like, and how one runs.

import { concat, parseHex, parseText } from "./escapes.js";

export const MACRO_LIMIT = 100;
const NAME_LIMIT = 40;
const TEXT_LIMIT = 4000;
const DELAY_LIMIT = 60_000;
export const ENDINGS = { none: "", cr: "\r", lf: "\n", crlf: "\r\n" };

/**
 * @typedef {{ name: string, text: string, mode: "text"|"hex", ending: "none"|"cr"|"lf"|"crlf",
 * delay: number, key: string }} Macro
 */

/**
 * What is wrong with one macro, for the person who typed it; null when nothing is. @param {Macro}
 * macro
 */
export function complaint(macro) {
  if (typeof macro.name !== "string" || macro.name.trim() === "")
    return "name: give it a name, it is written on the button";
  if (macro.name.length > NAME_LIMIT) return `name: at most ${NAME_LIMIT} characters`;
  if (typeof macro.text !== "string" || macro.text === "") return "text: nothing to send";
  if (macro.text.length > TEXT_LIMIT) return `text: at most ${TEXT_LIMIT} characters`;
  if (macro.mode !== "text" && macro.mode !== "hex") return "mode: “text” or “hex”";
  if (!Object.hasOwn(ENDINGS, macro.ending)) return "ending: “none”, “cr”, “lf” or “crlf”";
  if (!Number.isInteger(macro.delay) || macro.delay < 0 || macro.delay > DELAY_LIMIT)
    return `delay: milliseconds from 0 to ${DELAY_LIMIT}`;
  if (!/^[1-9]?$/.test(macro.key)) return "key: a digit from 1 to 9, or nothing";
  for (const [index, line] of macro.text.split("\n").entries()) {
    try {
      bytesOf(macro, line);
    } catch (error) {
      return `text, line ${index + 1}: ${error.message}`;
    }
  }
  return null;
}

function bytesOf({ mode, ending }, line) {
  if (mode === "hex") return parseHex(line);
  return concat([parseText(line), new TextEncoder().encode(ENDINGS[ending])]);
}

/** The parts that a macro sends, one per line. @param {Macro} macro @returns {Uint8Array[]} */
export function parts(macro) {
  return macro.text
    .split("\n")
    .map((line) => bytesOf(macro, line))
    .filter((bytes) => bytes.length > 0);
}

/**
 * The macros in a file that somebody chose. Throws an Error that says which entry is wrong and how.
 * @returns
 * {Macro[]}
 */
export function parseMacros(json) {
  let content;
  try {
    content = JSON.parse(json);
  } catch (error) {
    throw new Error(`this is no JSON: ${error.message}`, { cause: error });
  }
  const list = Array.isArray(content) ? content : content?.macros;
  if (!Array.isArray(list))
    throw new Error(
      'a list of macros is expected: {"macros": [{"name": "Version", "text": "show version"}]}',
    );
  if (list.length > MACRO_LIMIT)
    throw new Error(`${list.length} macros, and at most ${MACRO_LIMIT} are kept`);
  return list.map((entry, index) => {
    const where = `macro ${index + 1}`;
    if (entry === null || typeof entry !== "object" || Array.isArray(entry))
      throw new Error(`${where}: {"name": .., "text": ..} is expected`);
    const unknown = Object.keys(entry).find((key) => !Object.hasOwn(blank(), key));
    if (unknown)
      throw new Error(
        `${where}: unknown key \`${unknown.slice(0, 40)}\`; there are ${Object.keys(blank()).join(", ")}`,
      );
    const macro = { ...blank(), ...entry };
    const wrong = complaint(macro);
    if (wrong)
      throw new Error(
        `${where}${typeof entry.name === "string" ? ` (${entry.name.slice(0, NAME_LIMIT)})` : ""}: ${wrong}`,
      );
    return macro;
  });
}

/** @param {Macro[]} list */
export function printMacros(list) {
  return `${JSON.stringify({ macros: list }, null, 2)}\n`;
}

/** @returns {Macro} */
export function blank() {
  return { name: "", text: "", mode: "text", ending: "cr", delay: 0, key: "" };
}

/**
 * Sends a macro line by line.
 * @param {Macro} macro @param {(bytes: Uint8Array) => Promise<void>} write @param {AbortSignal}
 *   signal ends it between two lines
 */
export async function runMacro(macro, write, signal) {
  for (const [index, bytes] of parts(macro).entries()) {
    if (index > 0 && macro.delay > 0) await pause(macro.delay, signal);
    if (signal.aborted) return;
    await write(bytes);
  }
}

/** Waits `ms`, or until `signal` says to end. @returns {Promise<void>} */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
