// What this browser stores: the look of the whole page, and settings per endpoint, all in
// localStorage.

import { ofThisGateway } from "./place.js";

const PREFIX = "wsbridge:";

// Two panes of one endpoint, or two tabs, are told about each other's changes.
const watchers = new Map();

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key)) ?? {};
  } catch {
    return {}; // Storage is forbidden, or somebody else wrote there: defaults will do.
  }
}

function write(key, members) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(members));
  } catch {
    // Full or forbidden: the setting lasts until the page is left.
  }
}

/** The settings stored under `name`: get, set, and on for changes. */
export function settings(name) {
  let members = read(name);
  const listeners = watchers.get(name) ?? new Set();
  watchers.set(name, listeners);
  const notify = (key, value) => {
    for (const entry of [...listeners]) if (entry.key === key) entry.listener(value);
  };
  return {
    get(key, otherwise) {
      return key in members ? members[key] : otherwise;
    },
    set(key, value) {
      members = { ...read(name), ...members, [key]: value };
      write(name, members);
      notify(key, value);
    },
    on(key, listener) {
      const entry = {
        key,
        listener: (value) => ((members = { ...members, [key]: value }), listener(value)),
      };
      listeners.add(entry);
      return () => listeners.delete(entry);
    },
  };
}

/** Settings of the page as a whole. */
export const page = settings("page");

/** Settings of one endpoint of this gateway. */
export const ofEndpoint = (name) => settings(`endpoint:${ofThisGateway(name)}`);

addEventListener("storage", ({ key, newValue, oldValue }) => {
  if (!key?.startsWith(PREFIX) || !newValue) return;
  const listeners = watchers.get(key.slice(PREFIX.length));
  try {
    const [now, before] = [JSON.parse(newValue), JSON.parse(oldValue ?? "{}") ?? {}];
    for (const entry of [...(listeners ?? [])]) {
      if (JSON.stringify(now[entry.key]) !== JSON.stringify(before[entry.key]))
        entry.listener(now[entry.key]);
    }
  } catch {
    // Not ours.
  }
});
