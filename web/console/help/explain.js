// Why this page cannot reach its gateway, in words: what the client library's diagnosis means to a
// user, and what helps.

import * as client from "../../client/index.js";
import { socketUrl } from "../directory.js";

/**
 * Asks the client library about endpoint `name`; returns { title, text, steps }, or null if it
 * knows nothing.
 */
export async function explain(name) {
  if (!client.diagnose) return null;
  try {
    const found = await client.diagnose(socketUrl(`/ws/${name}`));
    return found && found.ok !== true
      ? { title: found.title, text: found.text, steps: found.steps ?? [] }
      : null;
  } catch {
    return null;
  }
}
