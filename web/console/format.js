// How numbers, times, people and settings are written for people.

import { session } from "./session.js";

const number = new Intl.NumberFormat("en");

/** 1 byte, 1,234 bytes. */
export const byteCount = (count) => `${number.format(count)} ${count === 1 ? "byte" : "bytes"}`;

/** 980 B, 12.3 KB: short, for counters. */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = -1;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** 12.3 KB/s. */
export const rate = (bytes) => `${size(bytes)}/s`;

/** 3.2 s, 4 min 10 s, 2 h 5 min. */
export function span(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60)
    return seconds % 60 < 1 ? `${minutes} min` : `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

const two = (value) => String(value).padStart(2, "0");

/** 14:03:22, local time. */
export function clock(ms) {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** 14:03:22.123, local time. */
export const fineClock = (ms) =>
  `${clock(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, "0")}`;

/** 14:03 today, otherwise with the day. */
export function moment(ms, now = Date.now()) {
  const date = new Date(ms);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/**
 * What to call somebody: a gateway without logins knows nobody by name, only that they are on its
 * own machine.
 */
export const person = (user) =>
  user === "anyone" && session.value.kind === "open" ? "anyone on this machine" : user;

/**
 * Whether that is the user of this page: the same login in another window. Without a login nobody
 * is anybody in particular.
 */
export const isSelf = (user) =>
  session.value.kind !== "open" && user !== undefined && user === session.value.user;

const PARITY = { none: "N", even: "E", odd: "O", mark: "M", space: "S" };
const FLOW = { none: "", hardware: " RTS/CTS", software: " XON/XOFF" };

/** 115200 8N1 RTS/CTS. */
export function lineSettings(config) {
  if (!config?.baud) return "";
  return `${config.baud} ${config.data ?? 8}${PARITY[config.parity] ?? "N"}${config.stop ?? 1}${FLOW[config.flow] ?? ""}`;
}

/** What a kind of endpoint is called. */
export const kindName = (kind) =>
  ({ serial: "serial", rfc2217: "RFC 2217", tcp: "TCP", udp: "UDP", sim: "simulated" })[kind] ??
  kind ??
  "";

/** What each state of a line is called. */
export const STATES = { up: "up", down: "not there", opening: "being opened", closed: "at rest" };

/** The order of names: plc2 before plc10. */
export const order = new Intl.Collator("en", { numeric: true }).compare;
