// The ways to send a file, under the names that a person chooses from.

import { sendPaced } from "./pace.js";
import { receiveXmodem, sendXmodem } from "./xmodem.js";
import { receiveYmodem, sendYmodem } from "./ymodem.js";
import { receiveZmodem } from "./zreceive.js";
import { sendZmodem } from "./zsend.js";

/** One file after the other, for protocols that handle a single file. */
const one =
  (send) =>
  async (wire, [file], { onFile, ...options }) => {
    onFile(0);
    await send(wire, file, options);
  };

/** send(wire, files, { onFile, onSkip, onProgress, pace }) */
export const SEND = {
  raw: {
    label: "as it is, paced",
    run: one((wire, file, { pace, onProgress }) => sendPaced(wire, file, pace, { onProgress })),
  },
  zmodem: { label: "ZMODEM (rz)", many: true, run: sendZmodem },
  ymodem: { label: "YMODEM (rb)", many: true, run: sendYmodem },
  xmodem: {
    label: "XMODEM (rx)",
    run: one((wire, file, { onProgress }) => sendXmodem(wire, file, { onProgress })),
  },
  xmodem1k: {
    label: "XMODEM-1K",
    run: one((wire, file, { onProgress }) => sendXmodem(wire, file, { onProgress, large: true })),
  },
};

/** XMODEM transmits neither name nor size. */
const unnamed =
  (mode) =>
  async (wire, accept, { onProgress, trim }) => {
    const sink = await accept({ name: "received.bin", size: null, modified: null });
    if (!sink) return;
    await receiveXmodem(wire, sink, { mode, trim, onProgress });
    await sink.close();
  };

/** receive(wire, accept, { onProgress, trim }) */
export const RECEIVE = {
  zmodem: { label: "ZMODEM (sz)", run: receiveZmodem },
  ymodem: { label: "YMODEM (sb)", run: receiveYmodem },
  ymodemg: {
    label: "YMODEM-g (sb)",
    run: (wire, accept, options) => receiveYmodem(wire, accept, { ...options, stream: true }),
  },
  xmodem: { label: "XMODEM, CRC (sx)", unnamed: true, run: unnamed("crc") },
  xmodemsum: { label: "XMODEM, checksum", unnamed: true, run: unnamed("sum") },
};
