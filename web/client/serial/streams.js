// The two streams of an open port, over a line.

import { lineError, portError } from "./errors.js";

/** @typedef {import("../line.js").Line} Line */
/** @typedef {{ bytes: Uint8Array } | { event: string } | { lost: DOMException }} Arrived */

/** Whether the engine has byte streams, and with them BYOB readers. WebKit has none. */
const BYTE_STREAMS = (() => {
  try {
    new ReadableStream({ type: "bytes" });
    return true;
  } catch {
    return false;
  }
})();

/**
 * What has come from the line and nobody has read yet, and the stream that is being read. Bytes
 * stay here until a read asks for them, and are acknowledged only then: the gateway stops where the
 * program does, and an error keeps its place between the bytes.
 */
export class Inbox {
  /** @type {Arrived[]} */
  #arrived = [];
  /** @type {ReadableStreamDefaultController | ReadableByteStreamController | undefined} */
  #controller;
  /** Ends the wait of a read. @type {(() => void) | undefined} */
  #wake;
  #line;
  #ended;
  #flush;
  /** Its session is over: nothing more is acknowledged. */
  #over = false;

  /**
   * @param {Line} line @param {() => void} ended the stream is of no further use: the next one
   *   begins where it stopped
   * @param {() => Promise<void>} flush discards what the line has received
   */
  constructor(line, ended, flush) {
    this.#line = line;
    this.#ended = ended;
    this.#flush = flush;
  }

  /** @param {Uint8Array} bytes */
  data(bytes) {
    // An empty datagram has no place in a stream.
    if (bytes.length === 0) return;
    this.#arrived.push({ bytes });
    this.#wake?.();
  }

  /** An error of the line, or a gap, after the bytes before it. @param {string} event */
  error(event) {
    const last = this.#arrived.at(-1);
    // Nobody learns anything from the same error twice.
    if (!last || !("event" in last) || last.event !== event) this.#arrived.push({ event });
    this.#wake?.();
  }

  /**
   * Nothing more comes: a reader gets what has come, and then this. @param {DOMException} reason
   */
  fail(reason) {
    this.#over = true;
    this.#arrived.push({ lost: reason });
    this.#wake?.();
  }

  /** A new stream. */
  stream() {
    const source = {
      start: (/** @type {any} */ controller) => (this.#controller = controller),
      pull: (/** @type {any} */ controller) => this.#pull(controller),
      cancel: async () => {
        this.#controller = undefined;
        this.#ended();
        this.#drop();
        await this.#flush();
      },
    };
    // Nothing is queued in the stream itself: `pull` is called when somebody reads.
    if (BYTE_STREAMS) return new ReadableStream({ type: "bytes", ...source }, { highWaterMark: 0 });
    return new ReadableStream(source, { highWaterMark: 0 });
  }

  /** @param {any} controller */
  async #pull(controller) {
    while (this.#arrived.length === 0 && this.#controller === controller) {
      await /** @type {Promise<void>} */ (new Promise((done) => (this.#wake = done)));
    }
    if (this.#controller !== controller) return;
    const first = this.#arrived.shift();
    if (!first) return;
    if ("bytes" in first) {
      const { length } = first.bytes;
      // A byte stream takes the buffer away, so it is counted first.
      controller.enqueue(first.bytes);
      if (!this.#over) this.#line.consumed(length);
      return;
    }
    this.#controller = undefined;
    this.#ended();
    controller.error("lost" in first ? first.lost : lineError(first.event));
  }

  #drop() {
    const bytes = this.#arrived.reduce(
      (sum, one) => sum + ("bytes" in one ? one.bytes.length : 0),
      0,
    );
    this.#arrived = [];
    if (bytes > 0 && !this.#over) this.#line.consumed(bytes);
  }
}

/**
 * A stream that writes to a line. A write is done when the line has taken it; closing waits until
 * all of it is on the wire.
 * @param {Line} line @param {number} bufferSize @param {{ before: () => void, ended: () => void,
 *   closing: () => boolean }} port
 * @returns {{ stream: WritableStream, fail: (reason: DOMException) => void }}
 */
export function outbox(line, bufferSize, { before, ended, closing }) {
  /** @type {WritableStreamDefaultController} */
  let controller;
  /** @type {Promise<void> | undefined} */
  let aborting;
  const discard = async () => {
    if (!closing()) await line.flush({ tx: true }).catch(() => {});
  };
  const stream = new WritableStream(
    {
      start(own) {
        controller = own;
        // An abort would otherwise wait for a write that waits for the line.
        own.signal?.addEventListener("abort", () => (aborting ??= discard()));
      },
      async write(chunk) {
        before();
        let bytes;
        try {
          bytes = viewOf(chunk);
          await line.write(bytes);
        } catch (error) {
          if (aborting) return;
          // This stream is at its end, as streams are; the port gets another one.
          ended();
          throw bytes ? portError("lost", error) : error;
        }
      },
      async close() {
        before();
        try {
          await line.drain();
        } catch (error) {
          // A line whose wire cannot be asked has done all that can be known about.
          if (/** @type {{ code?: string }} */ (error)?.code !== "unsupported")
            throw portError("lost", error);
        } finally {
          ended();
        }
      },
      async abort() {
        ended();
        await (aborting ??= discard());
      },
    },
    { highWaterMark: bufferSize, size: (chunk) => chunk?.byteLength ?? 1 },
  );
  return { stream, fail: (reason) => controller.error(reason) };
}

/** The bytes of a BufferSource. @param {unknown} chunk */
function viewOf(chunk) {
  if (ArrayBuffer.isView(chunk))
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (
    chunk instanceof ArrayBuffer ||
    Object.prototype.toString.call(chunk) === "[object ArrayBuffer]"
  )
    return new Uint8Array(/** @type {ArrayBuffer} */ (chunk));
  throw new TypeError(
    "Failed to execute 'write' on 'UnderlyingSinkBase': parameter 1 is not of type 'ArrayBuffer' or 'ArrayBufferView'.",
  );
}
