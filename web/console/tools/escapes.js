// Text with escapes and hex digits, to bytes and back: what people type into the send box and the
// macros.

const NAMED = { r: 13, n: 10, t: 9, e: 27, a: 7, b: 8, f: 12, v: 11, 0: 0, "\\": 92 };
const utf8 = new TextEncoder();

/** What was wrong with the typed text, and where (`at`: characters from the start). */
export class InputError extends Error {
  constructor(message, at) {
    super(`${message} (character ${at + 1})`);
    this.name = "InputError";
    this.at = at;
  }
}

/**
 * Bytes of text (UTF-8) with the escapes \r \n \t \e \a \b \f \v \0 \\ \xNN \u{N..}. @returns
 * {Uint8Array}
 */
export function parseText(text) {
  const parts = [];
  let from = 0;
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", from)) {
    if (at > from) parts.push(utf8.encode(text.slice(from, at)));
    const letter = text[at + 1];
    const long = /^(?:x([0-9a-f]{2})|u\{([0-9a-f]{1,6})\})/i.exec(text.slice(at + 1, at + 12));
    if (long?.[1]) parts.push(Uint8Array.of(Number.parseInt(long[1], 16)));
    else if (long?.[2] && Number.parseInt(long[2], 16) <= 0x10ffff) {
      parts.push(utf8.encode(String.fromCodePoint(Number.parseInt(long[2], 16))));
    } else if (letter !== undefined && Object.hasOwn(NAMED, letter))
      parts.push(Uint8Array.of(NAMED[letter]));
    else if (letter === "x") throw new InputError("\\x wants two hex digits, as in \\x1B", at);
    else
      throw new InputError(
        "a backslash starts \\r \\n \\t \\e \\0 \\xNN; write \\\\ for a backslash itself",
        at,
      );
    from = at + (long ? long[0].length : 1) + 1;
  }
  if (from < text.length) parts.push(utf8.encode(text.slice(from)));
  return concat(parts);
}

/**
 * Bytes from hex digits: pairs, optionally separated by spaces, commas, colons, dashes or `0x`.
 * @returns {Uint8Array}
 */
export function parseHex(text) {
  const bytes = [];
  for (const { 0: word, index } of text.matchAll(/[^\s,;:-]+/g)) {
    const digits = word.replace(/^0x/i, "");
    const prefix = word.length - digits.length;
    const wrong = digits.search(/[^0-9a-f]/i);
    if (wrong >= 0)
      throw new InputError(`\`${digits[wrong]}\` is no hex digit`, index + prefix + wrong);
    if (digits.length === 1) bytes.push(Number.parseInt(digits, 16));
    else if (digits.length % 2) throw new InputError("hex digits come in pairs", index);
    else
      for (let at = 0; at < digits.length; at += 2)
        bytes.push(Number.parseInt(digits.slice(at, at + 2), 16));
  }
  return Uint8Array.from(bytes);
}

/** `01 03 0A` */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
}

/** Printable ASCII, everything else as a dot: the right column of a hex dump. */
export function toAscii(bytes) {
  return Array.from(bytes, (byte) =>
    byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".",
  ).join("");
}

/** Text that `parseText` turns into the same bytes. */
export function toEscaped(bytes) {
  const short = { 13: "\\r", 10: "\\n", 9: "\\t", 27: "\\e", 92: "\\\\" };
  return Array.from(
    bytes,
    (byte) =>
      short[byte] ??
      (byte > 31 && byte < 127
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`),
  ).join("");
}

/** Joins many arrays into one. @param {Uint8Array[]} parts */
export function concat(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
