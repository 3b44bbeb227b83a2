// What was sent from a box before, the latest last: browsed with the arrow keys, bounded, without
// duplicates.

const LIMIT = 100;
const ENTRY_LIMIT = 4000;

export class History {
  #at;
  #draft = "";

  /** @param {string[]} entries as kept @param {(entries: string[]) => void} keep */
  constructor(entries, keep) {
    this.entries = Array.isArray(entries)
      ? entries.filter((entry) => typeof entry === "string").slice(-LIMIT)
      : [];
    this.keep = keep;
    this.#at = this.entries.length;
  }

  add(text) {
    if (text !== "" && text.length <= ENTRY_LIMIT) {
      this.entries = [...this.entries.filter((entry) => entry !== text), text].slice(-LIMIT);
      this.keep(this.entries);
    }
    this.#at = this.entries.length;
    this.#draft = "";
  }

  /**
   * The entry before (-1) or after (1) the one shown; null at the end. `shown` is what is in the
   * box; it is kept if it was typed.
   */
  step(direction, shown) {
    if (this.#at === this.entries.length) this.#draft = shown;
    const next = this.#at + direction;
    if (next < 0 || next > this.entries.length) return null;
    this.#at = next;
    return next === this.entries.length ? this.#draft : this.entries[next];
  }
}
