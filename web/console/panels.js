// Where tools are mounted: the contract between the console and web/console/tools, and the list of
// tools.
//
// A tool is a plain ES module in tools/ that knows nothing of the page but its context.
// tools/index.js exports
//
//     export const tools = [
//       { id: "hex", label: "Hex", icon: "hex", place: "view", mount: hex },
//       ...
//     ];
//
// place is where it goes:
//   "view"   instead of the terminal, chosen by a switch above it (hex view);
//   "bar"    one or two lines of controls under the terminal, shown and hidden by the user (send box);
//   "panel"  a tab of the inspector beside the terminal, about 300 px wide, on a phone a sheet from below (transfer, macros, log).
//
// mount(ctx) -> { element, label, dispose(), shown?(visible) }
//   element   an HTMLElement made with h() of ../dom.js (never innerHTML: the page forbids it), class names prefixed `tool-`,
//             colours and spaces by the custom properties of base.css. Styles: tools/tools.css, imported by tools/index.js.
//   label     its accessible name, normally that of the list.
//   dispose   takes listeners and timers back; the pane is closed.
//   shown     told each time it becomes visible or hidden. It is mounted when first shown, except with `early: true` in the
//             list (mounted with the pane: what must see bytes from the start, such as ZMODEM's header or the hex view's past).
//
// ctx, the same object for all tools of one pane:
//   name                     the endpoint's name; the context outlives connections
//   endpoint()               hello.endpoint of the protocol, or null before the first connection (caps, kind, macros, rights, ...)
//   state()                  { phase: "connecting"|"up"|"lost"|"closed", device: "up"|"down"|"opening"|"closed", role:
//                            "writer"|"observer"|null, config, signals, rights: [..], held: why it may only read for now, or null }
//   onState(listener)        listener(state) at once and at each change            -> a function that ends it
//   onBytes(listener)        listener({ bytes: Uint8Array, at: rx offset of the first byte, ms: the gateway's time in ms since
//                            1970 (this browser's, where the gateway tells none), replay: boolean })  -> a function that ends it.
//                            Do not keep `bytes.buffer`: copy what you keep.
//   onSent(listener)         listener({ bytes, ms }) for all that this page sends, whoever sends it    -> a function that ends it
//   onGap(listener)          listener({ from, to }): bytes that were lost                             -> a function that ends it
//   claim(listener)          the bytes go to `listener` alone, not to the terminal, and what is typed is held back (onBytes still
//                            sees all); one claim at a time, throws if there is one                    -> release(unread?) gives
//                            them back, and `unread` (Uint8Array) goes to the terminal first
//   write(bytes|string)      Promise; resolves when it is within the window (back-pressure: await it), rejects with LineError
//   mayWrite()               whether this page holds the lease and the line is up
//   line                     the client library's Line of the moment (or null), for flush, drain, config, macro: ask each time
//   encode(text)             text to bytes in the pane's encoding, decode(bytes) the other way (stateless)
//   newline()                the pane's line ending on Enter as a string ("\r", "\n", "\r\n")
//   announce(text)           tells screen readers, politely
//   notice(text, options)    a line above the terminal until dismissed; options { kind: "info"|"good"|"warn"|"bad", action:
//                            { label, run }, for: seconds }                                           -> a function that removes it
//   confirm(options)         { title, text | body: Element, ok, cancel, danger } -> Promise<boolean>, a modal question
//   reveal(id)               opens the side at a panel, as for work that began elsewhere and is to be seen
//   settings                 get(key, otherwise), set(key, value), on(key, listener): kept per endpoint in localStorage; prefix keys
//                            with the tool's id ("macros.list"). JSON values only.
//   terminal                 { print(text, kind = "note"): a line of our own in the terminal, marked as such; focus(); text(): what
//                            it shows as plain text }
//   save(name, blob|bytes)   offers a file as a download

export { tools } from "./tools/index.js";
