// wsbridge.v1 at its smallest, for the page of the tools: open as the writer, windows both ways, flush; no resume.

const WINDOW = 262_144;

export class RawLine {
  state = { phase: "connecting", device: "up", role: null, config: null, signals: null, rights: [] };
  hello = null;
  opened = null;
  #taken = 0;
  #written = 0;
  #received = 0;
  #acknowledged = 0;
  #clock = null;
  #wakers = [];
  #answers = new Map();
  #ids = 1;

  constructor(name, { state, bytes, gaps }) {
    Object.assign(this, { name, tell: state.emit, bytes, gaps });
  }

  connect() {
    this.socket = new WebSocket(new URL(`/ws/${this.name}`, location.href.replace(/^http/, "ws")), ["wsbridge.v1"]);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.#control(JSON.parse(data)) : this.#data(new Uint8Array(data)));
    this.socket.onclose = () => this.#set({ phase: "closed", role: null });
  }

  #set(change) {
    this.state = { ...this.state, ...change };
    this.tell(this.state);
  }

  #control(message) {
    if (message.type === "hello") {
      this.hello = message;
      this.#send({ type: "open", id: 0, role: "writer", window: WINDOW, times: message.endpoint.caps?.includes("times") });
    } else if (message.type === "opened") {
      this.opened = message;
      this.#received = message.rx;
      this.#set({ phase: "up", role: message.role, config: message.config ?? null, rights: this.hello.endpoint.rights ?? [] });
    } else if (message.type === "ack") {
      this.#taken = message.tx;
      for (const wake of this.#wakers.splice(0)) wake();
    } else if (message.type === "time") this.#clock = message.ms;
    else if (message.type === "gap") this.gaps.emit(message);
    else if (message.type === "lease") this.#set({ role: message.you });
    if (message.re !== undefined) this.#answers.get(message.re)?.(message);
  }

  #data(bytes) {
    this.bytes.emit({ bytes, at: this.#received, ms: this.#clock ?? Date.now(), replay: false });
    this.#received += bytes.length;
    if (this.#received - this.#acknowledged < WINDOW / 8) return;
    this.#acknowledged = this.#received;
    this.#send({ type: "ack", rx: this.#received });
  }

  #send(message) {
    this.socket.send(JSON.stringify(message));
  }

  async write(bytes) {
    if (this.state.phase !== "up") throw new Error("the line is not up");
    for (let at = 0; at < bytes.length;) {
      while (this.#written - this.#taken >= this.opened.window) await new Promise((wake) => this.#wakers.push(wake));
      const part = bytes.subarray(at, at + this.opened.window - (this.#written - this.#taken));
      this.socket.send(part);
      this.#written += part.length;
      at += part.length;
    }
  }

  flush(what) {
    const id = this.#ids++;
    this.#send({ type: "flush", id, ...what });
    return new Promise((resolve) => this.#answers.set(id, resolve));
  }
}
