// Notices in the stream that a ZMODEM program was started on the other side: sz, which offers
// files, or rz, which waits for some.

const PREFIX = [0x2a, 0x2a, 0x18, 0x42, 0x30];

/**
 * Looks for `**` ZDLE `B0` and the last digit of the frame: 0 is ZRQINIT (sz), 1 is ZRINIT (rz).
 */
export class ZmodemDetector {
  #matched = 0;

  /** @param {Uint8Array} bytes @returns {"receive"|"send"|null} what this page would have to do */
  push(bytes) {
    let found = null;
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (this.#matched === PREFIX.length) {
        if (byte === 0x30) found = "receive";
        else if (byte === 0x31) found = "send";
        this.#matched = 0;
      }
      if (byte === PREFIX[this.#matched]) this.#matched += 1;
      else if (!(byte === 0x2a && this.#matched === 2)) this.#matched = byte === 0x2a ? 1 : 0;
      // No header has begun: the next one may be far away, and the engine finds it faster.
      if (this.#matched === 0) {
        const next = bytes.indexOf(0x2a, at + 1);
        if (next < 0) return found;
        at = next - 1;
      }
    }
    return found;
  }
}
