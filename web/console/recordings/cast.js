// An asciicast (version 3) in memory: its events with absolute times, and what holds at a moment.

/**
 * Reads one. Pauses longer than `idle` ms are shortened to that. Returns { events: [{ at (ms), code,
 * data }], length (ms), cols, rows }.
 */
export function readCast(text, idle = Infinity) {
  const [first, ...lines] = text.split("\n");
  const head = JSON.parse(first);
  if (head.version !== 3) throw new Error("this is no asciicast of version 3");
  let at = 0;
  const events = [];
  for (const line of lines) {
    if (line === "" || line.startsWith("#")) continue;
    let read;
    try {
      read = JSON.parse(line);
    } catch {
      // A file that is being written may end within a line.
      break;
    }
    const [interval, code, data] = read;
    at += Math.min(interval * 1000, idle);
    events.push({ at, code, data });
  }
  return { events, length: at, cols: head.term?.cols ?? 80, rows: head.term?.rows ?? 24 };
}

/** How many events have happened at `ms`. */
export function before(events, ms) {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle].at <= ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What the device has said from one event to another, and what was noted last: { output, note }. */
export function between(events, from, to) {
  let output = "";
  let note = "";
  for (const { code, data } of events.slice(from, to)) {
    if (code === "o") output += data;
    else if (code === "u") note = data ? `${data} writes` : "nobody writes";
    else if (code !== "i" && code !== "r") note = data;
  }
  return { output, note };
}
