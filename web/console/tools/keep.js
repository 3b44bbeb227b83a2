// Where received files go: parts of a Blob, offered as a download when the file is complete.
// Nothing in them is ever shown.

import { safeName } from "./filename.js";
import { TransferEnded } from "./wire.js";

/**
 * Larger files are refused: until it is saved, a received file is kept in the browser's own
 * storage.
 */
export const RECEIVE_LIMIT = 2 ** 30;
const PART = 1 << 20;

/** A place for one file; `save(name, blob)` is called when it is complete. */
export function keep(name, save) {
  let parts = [];
  let small = [];
  let smallLength = 0;
  let total = 0;
  const pack = () => {
    if (smallLength > 0) parts.push(new Blob(small));
    small = [];
    smallLength = 0;
  };
  return {
    name: safeName(name),
    async write(bytes) {
      total += bytes.length;
      if (total > RECEIVE_LIMIT)
        throw new TransferEnded(
          "the file is larger than 1 GiB, which is not received here",
          "user",
        );
      small.push(bytes.slice());
      smallLength += bytes.length;
      // Large parts leave the page's memory; many small ones would cost more than they hold.
      if (smallLength >= PART) pack();
    },
    async close() {
      pack();
      save(this.name, new Blob(parts, { type: "application/octet-stream" }));
      parts = [];
    },
  };
}

/** A user's File as the protocols read it: one slice at a time, with a whole piece read ahead. */
export function fileSource(file, ahead = 256 << 10) {
  let from = 0;
  let buffer = new Uint8Array(0);
  return {
    name: safeName(file.name),
    size: file.size,
    modified: file.lastModified,
    async read(at, length) {
      if (at < from || at + length > from + buffer.length) {
        from = at;
        try {
          buffer = new Uint8Array(await file.slice(at, at + Math.max(length, ahead)).arrayBuffer());
        } catch {
          throw new TransferEnded(
            `${file.name} cannot be read any more: was it changed or removed?`,
            "user",
          );
        }
      }
      return buffer.slice(at - from, at - from + length);
    },
  };
}
