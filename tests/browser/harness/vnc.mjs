// A screen behind a TCP port: as much of RFB 3.8 (RFC 6143) as a viewer needs to show one colour
// and to send a key.

import { tcpDevice } from "./devices.mjs";

/** Bytes of each message of a client; SetEncodings and ClientCutText say how long they are. */
const LENGTHS = {
  0: () => 20,
  2: (bytes) => 4 + 4 * bytes.readUInt16BE(2),
  3: () => 10,
  4: () => 8,
  5: () => 6,
  6: (bytes) => 8 + bytes.readUInt32BE(4),
};

const size = 16;

/** A screen of one colour ([red, green, blue]); `keys` has the keysyms that were pressed. */
export async function vncDevice(colour) {
  const keys = [];
  const device = await tcpDevice((socket) => {
    let heard = Buffer.alloc(0);
    /** Takes so many bytes when they are there. */
    const take = (count) => {
      if (heard.length < count) return undefined;
      const bytes = heard.subarray(0, count);
      heard = heard.subarray(count);
      return bytes;
    };
    const steps = [
      () => take(12) && socket.write(Buffer.from([1, 1])), // its version; one security type: none
      () => take(1) && socket.write(Buffer.alloc(4)), // its choice; that is right
      () => take(1) && socket.write(greeting()), // shared or not
    ];
    socket.write("RFB 003.008\n");
    socket.on("data", (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      while (steps.length > 0 && steps[0]()) steps.shift();
      while (steps.length === 0 && message()) continue;
    });

    function message() {
      if (
        heard.length < 8 &&
        heard.length < (LENGTHS[heard[0]]?.length === 0 ? LENGTHS[heard[0]]() : 8)
      )
        return false;
      const bytes = take(LENGTHS[heard[0]](heard));
      if (!bytes) return false;
      if (bytes[0] === 3 && bytes[1] === 0) socket.write(picture(colour));
      if (bytes[0] === 4 && bytes[1] === 1) keys.push(bytes.readUInt32BE(4));
      return true;
    }
  });
  return Object.assign(device, { keys });
}

function greeting() {
  const name = Buffer.from("one colour");
  const head = Buffer.alloc(24);
  head.writeUInt16BE(size, 0);
  head.writeUInt16BE(size, 2);
  // 32 bits a pixel, 24 of them colour, least significant byte first, true colour; red, green, blue
  // from the lowest byte on.
  Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16]).copy(head, 4);
  head.writeUInt32BE(name.length, 20);
  return Buffer.concat([head, name]);
}

function picture([red, green, blue]) {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(size, 8);
  head.writeUInt16BE(size, 10);
  return Buffer.concat([
    head,
    ...Array.from({ length: size * size }, () => Buffer.from([red, green, blue, 0])),
  ]);
}
