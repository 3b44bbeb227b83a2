// File names as a device gives them: nothing in them may be a path, a control character or a trick
// with the text direction.

// Control characters, and those that change the direction of text or are invisible.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
// Names that Windows reserves for devices, with any extension.
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/**
 * A name to save under: the last part of any path, without what file systems and pages stumble
 * over; at most 120 characters.
 */
export function safeName(name) {
  const last = String(name).replace(UNSEEN, "").split(/[/\\]/).pop();
  let safe = last.replace(/[<>:"|?*]/g, "_").replace(/^[.\s]+|[.\s]+$/g, "");
  if (RESERVED.test(safe)) safe = `_${safe}`;
  if (safe.length > 120) {
    const dot = safe.lastIndexOf(".");
    const extension = dot > 0 && safe.length - dot <= 16 ? safe.slice(dot) : "";
    safe = safe.slice(0, 120 - extension.length) + extension;
  }
  return safe || "received.bin";
}

/**
 * `name`, or `name (2)` and so on: the first one not in `taken`, to which it is added. @param
 * {Set<string>} taken
 */
export function freeName(name, taken) {
  const dot = name.lastIndexOf(".");
  const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  let free = name;
  for (let count = 2; taken.has(free.toLowerCase()); count += 1)
    free = `${stem} (${count})${extension}`;
  taken.add(free.toLowerCase());
  return free;
}

/** `12 B`, `3.4 kB`, `1.2 MB`: sizes as a person reads them. */
export function readableSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${["", "kB", "MB", "GB", "TB"][power]}`;
}
