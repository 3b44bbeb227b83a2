// Text to bytes and back, in the encoding of the device.

export const ENCODINGS = [
  ["utf-8", "UTF-8"],
  ["latin1", "Latin-1 (Windows-1252)"],
];

// The web's "latin1" is windows-1252: its upper controls are letters, so noise on the line is never a
// control sequence.
const table = new TextDecoder("windows-1252").decode(
  Uint8Array.from({ length: 256 }, (_, byte) => byte),
);
const bytesOf = new Map([...table].map((character, byte) => [character, byte]));

/**
 * A stream decoder for what the terminal shows. For UTF-8 it passes the bytes through, since xterm
 * keeps the state itself.
 */
export function forScreen(encoding) {
  return encoding === "latin1"
    ? (bytes) => new TextDecoder("windows-1252").decode(bytes)
    : (bytes) => bytes;
}

/** Text as bytes; a character that the encoding lacks becomes "?". */
export function encode(text, encoding) {
  if (encoding !== "latin1") return new TextEncoder().encode(text);
  return Uint8Array.from([...text], (character) => bytesOf.get(character) ?? 0x3f);
}

/** Bytes as text; anything that is not text is shown as U+FFFD. */
export function decode(bytes, encoding) {
  return new TextDecoder(encoding === "latin1" ? "windows-1252" : "utf-8").decode(bytes);
}
