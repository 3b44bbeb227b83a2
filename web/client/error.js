// What went wrong with a request or a connection, for programs and for people.

/** A request that the gateway refused, or a connection that failed or ended. */
export class LineError extends Error {
  /**
   * @param {string | number} code a word of the protocol (`busy`, `denied`, ...), a close code
   *   (4401), or one of this client's own:
   *   `unreachable` (no connection), `lost` (the connection broke before the answer), `closed` (this side or the session ended),
   *   `foreign` (what answers is not a gateway)
   * @param {string} message a sentence for people
   */
  constructor(code, message) {
    super(message);
    this.name = "LineError";
    this.code = code;
  }
}
