// Which ports this page was granted, remembered by the browser for each gateway.

/**
 * The names of endpoints that were granted. They survive a reload if the page may store anything.
 */
export class Grants {
  /** @type {Set<string>} */
  #names;
  #key;

  /**
   * @param {string} gateway its origin @param {string[] | undefined} given fixed names, which are
   * not stored
   */
  constructor(gateway, given) {
    this.#key = given ? undefined : `wsbridge.granted ${gateway}`;
    this.#names = new Set(given ?? this.#load());
  }

  /** @returns {string[]} */
  #load() {
    try {
      const stored = JSON.parse(globalThis.localStorage?.getItem(this.#key ?? "") ?? "[]");
      return Array.isArray(stored) ? stored.filter((name) => typeof name === "string") : [];
    } catch {
      return [];
    }
  }

  get names() {
    return [...this.#names];
  }

  /** @param {string} name */
  add(name) {
    this.#names.add(name);
    this.#save();
  }

  /** @param {string} name */
  remove(name) {
    this.#names.delete(name);
    this.#save();
  }

  #save() {
    if (!this.#key) return;
    try {
      globalThis.localStorage?.setItem(this.#key, JSON.stringify(this.names));
    } catch {
      // A page that may not store anything forgets them when it is left.
    }
  }
}
