// A live recording: into a file if the browser can (File System Access), otherwise into a Blob with
// a limit.

/** Without a file the recording is in the browser's memory; at this size it ends by itself. */
const BLOB_LIMIT = 256 << 20;
const PART = 1 << 20;

/**
 * Starts a recording.
 * @param {string} name the file's name
 * @param {{ save: (name: string, blob: Blob) => void, onFull: () => void, onError: (error: Error)
 *   => void }} options
 * @returns {Promise<{ write: (part: Uint8Array|string) => void, stop: () => Promise<void>, bytes:
 *   number }|null>} null: no file was chosen
 */
export async function startRecording(name, { save, onFull, onError }) {
  if (typeof globalThis.showSaveFilePicker === "function") {
    try {
      const handle = await globalThis.showSaveFilePicker({ suggestedName: name });
      return intoFile(await handle.createWritable(), onError);
    } catch (error) {
      if (error.name === "AbortError") return null;
      // Not allowed here, such as in a frame: the other way works.
    }
  }
  return intoBlob(name, save, onFull);
}

function intoFile(stream, onError) {
  let tail = Promise.resolve();
  let failed = false;
  const encoder = new TextEncoder();
  return {
    bytes: 0,
    write(part) {
      if (failed) return;
      const bytes = typeof part === "string" ? encoder.encode(part) : part.slice();
      this.bytes += bytes.length;
      tail = tail
        .then(() => stream.write(bytes))
        .catch((error) => {
          if (!failed) onError(error);
          failed = true;
        });
    },
    async stop() {
      await tail;
      await stream.close().catch(() => {});
    },
  };
}

function intoBlob(name, save, onFull) {
  const parts = [];
  let small = [];
  let smallLength = 0;
  const encoder = new TextEncoder();
  return {
    bytes: 0,
    write(part) {
      if (this.bytes >= BLOB_LIMIT) return;
      const bytes = typeof part === "string" ? encoder.encode(part) : part.slice();
      small.push(bytes);
      smallLength += bytes.length;
      this.bytes += bytes.length;
      if (smallLength >= PART) {
        parts.push(new Blob(small));
        small = [];
        smallLength = 0;
      }
      if (this.bytes >= BLOB_LIMIT) onFull();
    },
    async stop() {
      save(name, new Blob([...parts, ...small], { type: "application/octet-stream" }));
    },
  };
}
