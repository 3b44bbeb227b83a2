// Numbers in lines of text, as devices print them: `temp:23.5 hum=40`, columns (`1,2,3`, with names
// if a line of names came before), or the first number in a sentence.

const NUMBER = "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][-+]?\\d+)?";
const PAIR = new RegExp(`([A-Za-z_][\\w./-]*)\\s*[:=]\\s*(${NUMBER})(?![\\d.:])`, "g");
const WHOLE = new RegExp(`^${NUMBER}$`);
const FIRST = new RegExp(`(?<![\\w.]|\\d:)${NUMBER}(?![\\d.:])`);
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;

/** The longest line that is looked at, in characters: a longer one is not a line of numbers. */
const LINE_LIMIT = 4096;

/** Ways to read a line, for a choice. */
export const WAYS = [
  ["auto", "automatic"],
  ["pairs", "name:number"],
  ["columns", "columns"],
  ["first", "first number"],
];

/** Reads lines; it remembers the names of columns, and what kind of lines there were. */
export class NumberReader {
  way = "auto";
  #rest = "";
  #names = [];
  #structured = false;

  /**
   * Numbers in the lines that `text` ends: [[name, value], ...] for each line that has any.
   * @returns {Array<[string, number][]>}
   */
  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop().slice(-LINE_LIMIT);
    return lines.map((line) => this.line(line)).filter((found) => found.length > 0);
  }

  /** Numbers of one line. @returns {[string, number][]} */
  line(text) {
    const line = text.replace(ESCAPES, "").trim();
    if (line === "" || line.length > LINE_LIMIT) return [];
    const { way } = this;
    const found =
      (way === "auto" || way === "pairs" ? pairs(line) : null) ??
      (way === "auto" || way === "columns" ? this.#columns(line) : null);
    if (found) {
      this.#structured = true;
      return found;
    }
    // Between lines of numbers, a sentence with a number in it is just a sentence.
    if (way === "first" || (way === "auto" && !this.#structured)) {
      const number = FIRST.exec(line);
      if (number) return [["value", Number(number[0])]];
    }
    return [];
  }

  #columns(line) {
    const fields = line.split(/\s*[,;\t]\s*|\s+/);
    if (fields.every((field) => WHOLE.test(field)))
      return fields.map((field, at) => [
        this.#names[at] ?? (fields.length === 1 ? "value" : `column ${at + 1}`),
        Number(field),
      ]);
    const named = line.split(/\s*[,;\t]\s*/);
    if (named.length > 1 && named.every((field) => /^[A-Za-z_][\w ./()%°-]{0,39}$/.test(field)))
      this.#names = named;
    return null;
  }
}

function pairs(line) {
  const found = [...line.matchAll(PAIR)].map(([, name, number]) => [name, Number(number)]);
  return found.length > 0 ? found : null;
}
