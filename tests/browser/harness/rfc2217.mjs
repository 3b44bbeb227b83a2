// A serial port on another box: an RFC 2217 access server whose port is the test. It sees DTR, RTS,
// break and settings for real.

import { EventEmitter } from "node:events";
import { tcpDevice } from "./devices.mjs";

const [IAC, DONT, DO, WONT, WILL, SB, SE] = [255, 254, 253, 252, 251, 250, 240];
const [BINARY, SUPPRESS, COM_PORT] = [0, 3, 44];

/**
 * Listens; `address` goes into the YAML. What the port sees is in `lines` ({ dtr, rts, break }),
 * `settings` ({ baud, data, parity, stop, flow }) and, with the time of each, in `history`. Events:
 * "data" (Buffer), "lines", "settings", "purge". write(bytes) sends from the device, modem({ cts,
 * dsr, ri, dcd }) and error("break" | "parity" | "framing" | "overrun") tell as a UART would.
 */
export async function rfc2217Device(number = 0) {
  const port = Object.assign(new EventEmitter(), {
    lines: { dtr: false, rts: false, break: false },
    settings: { baud: 9600, data: 8, parity: 1, stop: 1, flow: 1 },
    history: [],
    moved: new Set(),
    inputs: { cts: true, dsr: true, ri: false, dcd: true },
  });
  let current;
  const device = await tcpDevice((socket) => {
    current?.destroy();
    current = socket;
    socket.once("close", () => (current === socket ? (current = undefined) : undefined));
    speak(socket, port);
  }, number);
  const send = (bytes) => current?.write(bytes);
  const listeners = {
    write: (bytes) => send(doubled(Buffer.from(bytes))),
    modem(inputs) {
      Object.assign(port.inputs, inputs);
      send(sub(107, modemByte(port.inputs)));
    },
    error(kind) {
      // Line state, RFC 2217 section 3: the bits of a 16450's LSR.
      send(sub(106, { overrun: 2, parity: 4, framing: 8, break: 16 }[kind]));
    },
    /** Breaks the connection, as a box that loses power does. */
    unplug: () => current?.destroy(),
    get connected() {
      return current !== undefined;
    },
  };
  const { stop, address } = device;
  Object.defineProperties(port, Object.getOwnPropertyDescriptors(listeners));
  return Object.assign(port, { address, port: device.port, stop });
}

function sub(command, ...values) {
  return Buffer.concat([
    Buffer.from([IAC, SB, COM_PORT, command]),
    doubled(Buffer.from(values)),
    Buffer.from([IAC, SE]),
  ]);
}

function doubled(bytes) {
  if (!bytes.includes(IAC)) return bytes;
  return Buffer.from([...bytes].flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])));
}

function halved(bytes) {
  const plain = [];
  for (let i = 0; i < bytes.length; i++) {
    plain.push(bytes[i]);
    if (bytes[i] === IAC) i += 1;
  }
  return plain;
}

const modemByte = ({ cts, dsr, ri, dcd }) =>
  (cts ? 16 : 0) | (dsr ? 32 : 0) | (ri ? 64 : 0) | (dcd ? 128 : 0);

/** One connection: telnet's options, COM-PORT-OPTION's commands, and data between them. */
function speak(socket, port) {
  let before = [];
  const agreed = new Set();
  socket.write(
    Buffer.from([IAC, WILL, BINARY, IAC, DO, BINARY, IAC, WILL, SUPPRESS, IAC, DO, COM_PORT]),
  );
  socket.on("data", (chunk) => {
    const bytes = before.length > 0 ? Buffer.concat([Buffer.from(before), chunk]) : chunk;
    before = [];
    const data = [];
    const answers = [];
    let i = 0;
    while (i < bytes.length) {
      if (bytes[i] !== IAC) {
        data.push(bytes[i++]);
        continue;
      }
      const command = bytes[i + 1];
      if (command === IAC) {
        data.push(IAC);
        i += 2;
      } else if (command === SB) {
        const end = endOf(bytes, i + 2);
        if (end < 0) break;
        const body = halved(bytes.subarray(i + 2, end));
        // What was sent before a command is seen before it.
        tellData(port, data);
        if (body[0] === COM_PORT) com(port, body[1], body.slice(2), answers);
        i = end + 2;
      } else if (command >= WILL && command <= DONT) {
        if (i + 2 >= bytes.length) break;
        const option = bytes[i + 2];
        const key = `${command} ${option}`;
        const known = [BINARY, SUPPRESS, COM_PORT].includes(option);
        if (!agreed.has(key) && (command === WILL || command === DO)) {
          agreed.add(key);
          const yes = command === WILL ? DO : WILL;
          answers.push(Buffer.from([IAC, known ? yes : yes === DO ? DONT : WONT, option]));
        }
        i += 3;
      } else if (command === undefined) {
        break;
      } else {
        i += 2;
      }
    }
    before = [...bytes.subarray(i)];
    tellData(port, data);
    tellLines(port);
    if (answers.length > 0) socket.write(Buffer.concat(answers));
  });
}

function tellData(port, data) {
  if (data.length === 0) return;
  tellLines(port);
  port.emit("data", Buffer.from(data.splice(0)));
}

/** What stands in one write changed together, as on a real port. */
function tellLines(port) {
  if (port.moved.size === 0) return;
  port.moved.clear();
  port.history.push({ at: performance.now(), ...port.lines });
  port.emit("lines", { ...port.lines });
}

function move(port, name, level) {
  if (port.moved.has(name)) tellLines(port);
  if (port.lines[name] !== level) port.moved.add(name);
  port.lines[name] = level;
}

function endOf(bytes, from) {
  for (let i = from; i + 1 < bytes.length; i++) {
    if (bytes[i] !== IAC) continue;
    if (bytes[i + 1] === SE) return i;
    i += 1;
  }
  return -1;
}

/** One command of COM-PORT-OPTION. */
function com(port, command, values, answers) {
  const answer = (...bytes) => answers.push(sub(command + 100, ...bytes));
  const set = (key, value) => {
    if (value !== 0) port.settings[key] = value;
    tellLines(port);
    port.emit("settings", { ...port.settings });
    answer(port.settings[key]);
  };
  switch (command) {
    case 0:
      answers.push(sub(100, ...Buffer.from("the suite's port")));
      return;
    case 1: {
      const baud = Buffer.from(values).readUInt32BE(0);
      if (baud !== 0) port.settings.baud = baud;
      tellLines(port);
      port.emit("settings", { ...port.settings });
      const now = Buffer.alloc(4);
      now.writeUInt32BE(port.settings.baud);
      answer(...now);
      return;
    }
    case 2:
      set("data", values[0]);
      return;
    case 3:
      set("parity", values[0]);
      return;
    case 4:
      set("stop", values[0]);
      return;
    case 5: {
      const [what] = values;
      const { lines } = port;
      if (what >= 1 && what <= 3) port.settings.flow = what;
      if (what === 5 || what === 6) move(port, "break", what === 5);
      if (what === 8 || what === 9) move(port, "dtr", what === 8);
      if (what === 11 || what === 12) move(port, "rts", what === 11);
      const state = {
        0: port.settings.flow,
        4: lines.break ? 5 : 6,
        7: lines.dtr ? 8 : 9,
        10: lines.rts ? 11 : 12,
        13: 14,
      }[what];
      answer(state ?? what);
      return;
    }
    case 10:
      answer(values[0]);
      return;
    case 11:
      answer(values[0]);
      answers.push(sub(107, modemByte(port.inputs)));
      return;
    case 12:
      port.emit("purge", values[0]);
      answer(values[0]);
      return;
    default:
      return;
  }
}
