#!/usr/bin/env python3
"""usbser.py: a USB serial adapter in software, whose far end a test can see and steer.

  usbser.py --usb SOCKET --ctl SOCKET [--kind ftdi|ch341|acm] [--serial TEXT]
  gwvm plug ID --kind redir --sock SOCKET        (the guest gets ttyUSB* or ttyACM*)

It plays the device over the usbredir protocol to QEMU's usb-redir, so the
guest's real driver (ftdi_sio, ch341, cdc_acm) drives it. Unlike QEMU's own usb-serial,
control lines, break, speed and framing cross to the test, both ways.
What the guest sends goes through a transmit FIFO that empties at the line's speed, and stands still while flow
control holds it (an FT232 and a CH341; a CDC-ACM board has no wire, and takes all at once).
The control socket takes and gives one JSON object a line:
  out: {"tx":"HEX"} (characters that have left the wire) {"lines":{"dtr":true,"rts":false}} {"break":true}
       {"baud":115200,"bits":8,"parity":"N","stop":1} {"flow":"none"} {"usb":"connected"}
       each with "ms", when it came to pass on this machine's monotonic clock
  in:  {"rx":"HEX"} {"lines":{"cts":true,"dsr":true,"ri":false,"dcd":true}}
       {"error":"break|parity|frame|overrun","byte":"HEX"}  (in order with rx; FTDI: on that byte, default 00,
       and a break's is always 00: ftdi_sio takes no other for one)
       {"hold":true}  (take nothing more from the guest)
       {"stall":[1,5]}  (answer these class or vendor requests with a STALL; [] ends it)
       {"unplug":true}  {"state":true}  (answers with all of it)
"""
import argparse, json, os, selectors, socket, struct, time

HELLO, CONNECT, DISCONNECT, RESET, IFACES, EPS, SETCFG, GETCFG, CFGSTAT, SETALT, GETALT, ALTSTAT = range(12)
INT_START, INT_STOP, INT_STAT, CANCEL, CONTROL, BULK, INTERRUPT = 15, 16, 17, 21, 100, 101, 103
CAPS = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6   # device version, packet sizes, 64-bit ids, 32-bit lengths: xHCI wants all
OK, CANCELLED, STALL = 0, 1, 4


def string(s):
    b = s.encode("utf-16-le")
    return bytes([len(b) + 2, 3]) + b


class Device:
    """What is common to both kinds; the subclasses know the wire's control requests."""
    def __init__(self, serial):
        self.power_up()
        self.inputs = {"cts": True, "dsr": True, "ri": False, "dcd": True}
        self.hold, self.stalls = False, set()
        self.rx = []                      # what waits for the guest: bytes and (error, byte), in order
        self.errors = []                  # errors told by notification rather than beside the data
        self.strings = {1: self.maker, 2: self.product, 3: serial}
        self.emit = lambda **k: None

    def power_up(self):
        """As a chip is before a host has said anything: a pulled one forgets."""
        self.lines = {"dtr": False, "rts": False}                       # the guest's outputs
        self.coding = {"baud": 9600, "bits": 8, "parity": "N", "stop": 1}
        self.brk, self.flow = False, "none"
        self.fifo, self.leaves, self.xoff = bytearray(), None, False    # the first byte is on the wire until `leaves`

    # -- the transmitter -----------------------------------------------------
    def character(self):
        """Seconds that one takes on the wire."""
        c = self.coding
        return (1 + c["bits"] + (c["parity"] != "N") + c["stop"]) / max(c["baud"], 1)

    def stands(self):
        """The far end lets nothing more go."""
        return self.flow == "rtscts" and not self.inputs["cts"] or self.flow == "xonxoff" and self.xoff

    def accept(self, data):
        """Takes what there is room for; returns how much that is."""
        if not self.depth:
            self.emit(tx=data.hex())
            return len(data)
        n = min(len(data), self.depth - len(self.fifo))
        self.fifo += data[:n]
        self.advance()
        return n

    def advance(self):
        """Lets go of the characters whose time on the wire is over."""
        now, sent = time.monotonic(), bytearray()
        while self.fifo:
            if self.leaves is None:
                if self.stands():
                    break
                self.leaves = now + self.character()
            if self.leaves > now:
                break
            sent.append(self.fifo.pop(0))
            self.leaves = self.leaves + self.character() if self.fifo and not self.stands() else None
        if sent:
            self.emit(tx=sent.hex())

    def purge(self):
        """What has not begun to leave is forgotten; so is what has, a chip of this kind is reset for it."""
        self.fifo, self.leaves = bytearray(), None

    def set(self, name, value):
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.emit(**({"break": value} if name == "brk" else {"flow": value} if name == "flow" else
                         value if name == "coding" else {name: value}))

    def put(self, data):
        """Bytes for the guest; joined with what waits already. An XOFF or XON that steers the chip is not for the guest."""
        if self.flow == "xonxoff" and self.steered:
            for byte in data:
                self.xoff = True if byte == 0x13 else False if byte == 0x11 else self.xoff
            data = data.translate(None, b"\x11\x13")
        if self.rx and isinstance(self.rx[-1], bytearray):
            self.rx[-1] += data
        elif data:
            self.rx.append(bytearray(data))

    def fail(self, error, byte):
        """An error on the line."""
        if self.note_in:
            self.errors.append(error)
        else:
            self.rx.append((error, byte))

    def take(self, limit):
        """At most so many of the bytes that come before the next error."""
        if not self.rx or not isinstance(self.rx[0], bytearray):
            return b""
        out = bytes(self.rx[0][:limit])
        del self.rx[0][:limit]
        if not self.rx[0]:
            self.rx.pop(0)
        return out

    def descriptor(self, value):
        kind, n = value >> 8, value & 255
        if kind == 1:
            return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, *self.dclass, 64, *self.ids, self.version, 1, 2, 3, 1)
        if kind == 2:
            body = self.config
            return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), len(self.ifaces), 1, 0, 0xA0, 45) + body
        if kind == 3:
            return struct.pack("<BBH", 4, 3, 0x409) if n == 0 else string(self.strings[n]) if n in self.strings else None

    def control(self, rtype, req, value, index, length, data):
        """Return the answer's bytes, or None to stall."""
        if rtype & 0x60 == 0:
            if req == 6 and rtype & 0x80:
                return self.descriptor(value)
            if req == 0 and rtype & 0x80:
                return b"\0\0"
            return b""
        self.advance()                            # what happened before this request
        return None if req in self.stalls else self.request(rtype, req, value, index, data)


class Ftdi(Device):
    ids, version, dclass, maker, product = (0x0403, 0x6001), 0x600, (0, 0, 0), "FTDI", "FT232R USB UART"
    ifaces = [(0, 0xFF, 0xFF, 0xFF)]
    eps = {0x81: (2, 0, 0, 64), 0x02: (2, 0, 0, 64)}           # type, interval, interface, size
    data_in, data_out, note_in = 0x81, 0x02, None
    depth, steered = 128, True                                 # the FT232R's transmit FIFO; it does XON/XOFF by itself
    config = struct.pack("<9B", 9, 4, 0, 0, 2, 0xFF, 0xFF, 0xFF, 2) + \
        struct.pack("<BBBBHB", 7, 5, 0x81, 2, 64, 0) + struct.pack("<BBBBHB", 7, 5, 0x02, 2, 64, 0)

    def power_up(self):
        super().power_up()
        self.latency = 0.016                                   # status comes at least so often

    def status(self):
        i = self.inputs
        return 1 | i["cts"] << 4 | i["dsr"] << 5 | i["ri"] << 6 | i["dcd"] << 7

    def line_status(self):
        """Transmitter empty, and its holding register, too."""
        return 0x60 if not self.fifo else 0x20 if len(self.fifo) < self.depth else 0

    def request(self, rtype, req, value, index, data):
        if req == 0:                                           # reset: all, or one direction; DTR and RTS stay
            if value in (0, 2):
                self.purge()
            if value in (0, 1):
                self.rx = []
            if value == 0:
                self.set("flow", "none")
                self.xoff = False
        elif req == 1:                                         # modem control: high byte says which
            l = dict(self.lines)
            if value & 0x100: l["dtr"] = bool(value & 1)
            if value & 0x200: l["rts"] = bool(value & 2)
            self.set("lines", l)
        elif req == 2:
            self.set("flow", {0: "none", 1: "rtscts", 2: "dtrdsr", 4: "xonxoff"}.get(index >> 8, "?"))
        elif req == 3:
            div, frac = value & 0x3FFF, (0, 4, 2, 1, 3, 5, 6, 7)[value >> 14 | (index & 1) << 2]
            baud = {(0, 0): 3000000, (1, 0): 2000000}.get((div, frac)) or round(24000000 / (div * 8 + frac))
            self.set("coding", {**self.coding, "baud": baud})
        elif req == 4:
            self.set("coding", {**self.coding, "bits": value & 15, "parity": "NOEMS"[value >> 8 & 7],
                                "stop": (1, 1.5, 2)[value >> 11 & 3]})
            self.set("brk", bool(value & 0x4000))
        elif rtype & 0x80:
            return (bytes([self.status(), self.line_status()]) if req == 5 else
                    bytes([round(self.latency * 1000)]) if req == 10 else b"\0\0")
        elif req == 9:
            self.latency = max(value & 255, 1) / 1000
        return b""

    def next_in(self, length):
        """One bulk-in answer: status bytes before every 62 bytes, as the chip does."""
        if self.rx and not isinstance(self.rx[0], bytearray):      # an error is of its whole packet
            error, byte = self.rx.pop(0)
            bit = {"overrun": 2, "parity": 4, "frame": 8, "break": 16}[error]
            return bytes([self.status(), self.line_status() | bit]) + (b"\0" if error == "break" else byte)
        out = bytearray()
        while len(out) + 64 <= length:
            part = self.take(62)
            out += bytes([self.status(), self.line_status()]) + part
            if len(part) < 62:
                break
        return bytes(out)


class Ch341(Device):
    """Registers: divisor and prescaler, line control, break. Neither its protocol nor its driver can ask whether the
    transmitter is empty."""
    ids, version, dclass, maker, product = (0x1A86, 0x7523), 0x264, (0xFF, 0, 0), "1a86", "USB Serial"
    ifaces = [(0, 0xFF, 1, 2)]
    eps = {0x82: (2, 0, 0, 32), 0x02: (2, 0, 0, 32), 0x81: (3, 1, 0, 8)}
    data_in, data_out, note_in = 0x82, 0x02, 0x81
    depth, steered = 128, False
    config = struct.pack("<9B", 9, 4, 0, 0, 3, 0xFF, 1, 2, 0) + struct.pack("<BBBBHB", 7, 5, 0x82, 2, 32, 0) + \
        struct.pack("<BBBBHB", 7, 5, 0x02, 2, 32, 0) + struct.pack("<BBBBHB", 7, 5, 0x81, 3, 8, 1)

    def power_up(self):
        super().power_up()
        self.registers = {0x05: 0x01, 0x18: 0xC3, 0x25: 0}

    def modem(self):
        i = self.inputs
        return ~(i["cts"] | i["dsr"] << 1 | i["ri"] << 2 | i["dcd"] << 3) & 0xFF

    def request(self, rtype, req, value, index, data):
        if req == 0x5F:
            return b"\x31\x00"
        if req == 0x95:                                        # two registers
            read = lambda register: self.modem() if register == 0x06 else self.registers.get(register, 0)
            return bytes([read(value & 255), read(value >> 8)])
        if req == 0x9A:
            self.registers.update({value & 255: index & 255, value >> 8: index >> 8})
            self.apply()
        elif req == 0xA4:
            self.set("lines", {"dtr": not value & 1 << 5, "rts": not value & 1 << 6})
        return b""

    def apply(self):
        prescaler, divisor = self.registers.get(0x12, 0), 0x100 - self.registers.get(0x13, 0)
        lcr, coding = self.registers[0x18], dict(self.coding)
        if 0x12 in self.registers:
            fact, ps = prescaler >> 2 & 1, prescaler & 3
            coding["baud"] = round(48_000_000 / ((1 << (12 - 3 * ps - fact)) * divisor))
        coding["bits"], coding["stop"] = 5 + (lcr & 3), 2 if lcr & 4 else 1
        coding["parity"] = "N" if not lcr & 8 else ("S" if lcr & 0x10 else "M") if lcr & 0x20 else "E" if lcr & 0x10 else "O"
        self.set("coding", coding)
        self.set("brk", not self.registers[0x05] & 1)

    def note(self):
        return bytes([0x08, 0, self.modem(), 0])

    def next_in(self, length):
        return self.take(length)


class Acm(Device):
    ids, version, dclass, maker, product = (0x2E8A, 0x000A), 0x100, (0xEF, 2, 1), "Example", "CDC ACM board"
    ifaces = [(0, 2, 2, 1), (1, 10, 0, 0)]
    eps = {0x83: (3, 9, 0, 16), 0x81: (2, 0, 1, 64), 0x02: (2, 0, 1, 64)}
    data_in, data_out, note_in = 0x81, 0x02, 0x83
    depth, steered = 0, False
    config = struct.pack("<8B", 8, 11, 0, 2, 2, 2, 1, 0) + struct.pack("<9B", 9, 4, 0, 0, 1, 2, 2, 1, 0) + \
        bytes([5, 0x24, 0, 0x10, 1, 5, 0x24, 1, 0, 1, 4, 0x24, 2, 6, 5, 0x24, 6, 0, 1]) + \
        struct.pack("<BBBBHB", 7, 5, 0x83, 3, 16, 9) + struct.pack("<9B", 9, 4, 1, 0, 2, 10, 0, 0, 0) + \
        struct.pack("<BBBBHB", 7, 5, 0x81, 2, 64, 0) + struct.pack("<BBBBHB", 7, 5, 0x02, 2, 64, 0)

    def request(self, rtype, req, value, index, data):
        c = self.coding
        if req == 0x20 and len(data) >= 7:
            baud, stop, par, bits = struct.unpack("<IBBB", data[:7])
            self.set("coding", {"baud": baud, "bits": bits, "parity": "NOEMS"[par % 5], "stop": (1, 1.5, 2)[stop % 3]})
        elif req == 0x21:
            return struct.pack("<IBBB", c["baud"], {1: 0, 1.5: 1, 2: 2}[c["stop"]], "NOEMS".index(c["parity"]), c["bits"])
        elif req == 0x22:
            self.set("lines", {"dtr": bool(value & 1), "rts": bool(value & 2)})
        elif req == 0x23:
            self.set("brk", value != 0)
        else:
            return None
        return b""

    def note(self):
        i, e = self.inputs, self.errors.pop(0) if self.errors else ""
        bits = i["dcd"] | i["dsr"] << 1 | (e == "break") << 2 | i["ri"] << 3 | (e == "frame") << 4 | \
            (e == "parity") << 5 | (e == "overrun") << 6
        return struct.pack("<BBHHHH", 0xA1, 0x20, 0, 0, 2, bits)

    def next_in(self, length):
        return self.take(length)


class Peer:
    def __init__(self, usb, ctl, dev):
        self.dev, self.sel = dev, selectors.DefaultSelector()
        self.usb, self.status_due, self.told_empty = None, None, True
        self.ctls = {}
        for path, what in ((usb, self.accept_usb), (ctl, self.accept_ctl)):
            if os.path.exists(path):
                os.unlink(path)
            s = socket.socket(socket.AF_UNIX)
            s.bind(path)
            s.listen(4)
            self.sel.register(s, selectors.EVENT_READ, what)
        dev.emit = self.emit

    def emit(self, **msg):
        msg["ms"] = round(time.monotonic() * 1000, 3)
        for s in list(self.ctls):
            try:
                s.sendall((json.dumps(msg) + "\n").encode())
            except OSError:
                self.drop_ctl(s)

    def run(self):
        while True:
            due = [at for at in (self.dev.leaves, self.status_due) if at is not None]
            # A tick of a millisecond or more: several characters of a fast line leave in one.
            wait = max(min(due) - time.monotonic(), 0.001) if due else None
            for key, _ in self.sel.select(wait):
                key.data(key.fileobj)
            self.tick()

    def tick(self):
        """Characters leave, others take their place, and the chip's next status says whether there are any."""
        if not self.usb:
            return
        was_empty, now = not self.dev.fifo, time.monotonic()
        self.dev.advance()
        self.release()
        if self.dev.note_in is None and (self.told_empty != (not self.dev.fifo) or was_empty != (not self.dev.fifo)):
            self.status_due = self.status_due or now + self.dev.latency
        if self.status_due and now >= self.status_due:
            self.status_due, self.told_empty, self.changed = None, not self.dev.fifo, True
            self.feed()

    # -- the test's side ---------------------------------------------------
    def accept_ctl(self, l):
        s, _ = l.accept()
        self.ctls[s] = b""
        self.sel.register(s, selectors.EVENT_READ, self.read_ctl)

    def drop_ctl(self, s):
        if self.ctls.pop(s, None) is not None:
            self.sel.unregister(s)
            s.close()

    def read_ctl(self, s):
        if s not in self.ctls:
            return
        try:
            d = s.recv(65536)
        except OSError:
            d = b""
        if not d:
            return self.drop_ctl(s)
        *lines, self.ctls[s] = (self.ctls[s] + d).split(b"\n")
        for line in lines:
            m, dev = json.loads(line), self.dev
            if "rx" in m: dev.put(bytes.fromhex(m["rx"]))
            if "lines" in m:
                dev.inputs.update(m["lines"])
                self.changed = True
            if "error" in m: dev.fail(m["error"], bytes.fromhex(m.get("byte", "00")))
            if "stall" in m: dev.stalls = set(m["stall"])
            if "hold" in m:
                dev.hold = m["hold"]
                if not dev.hold: self.release()
            if "unplug" in m: self.drop_usb()
            if "state" in m:
                self.emit(state={"lines": dev.lines, "inputs": dev.inputs, "break": dev.brk, "flow": dev.flow,
                                 **dev.coding, "fifo": len(dev.fifo), "usb": self.usb is not None})
        self.feed()

    # -- QEMU's side -------------------------------------------------------
    def accept_usb(self, l):
        s, _ = l.accept()
        if self.usb:
            return s.close()
        self.usb, self.buf, self.wide = s, b"", False
        self.reads, self.held, self.notes, self.changed, self.note_id = [], [], False, False, 0
        self.sel.register(s, selectors.EVENT_READ, self.read_usb)
        s.sendall(struct.pack("<III", HELLO, 68, 0) + b"usbser.py".ljust(64, b"\0") + struct.pack("<I", CAPS))

    def drop_usb(self):
        if self.usb:
            self.sel.unregister(self.usb)
            self.usb.close()
            self.usb = None
            self.dev.power_up()
            self.emit(usb="gone")

    def send(self, kind, ident, body):
        if self.usb:
            try:
                self.usb.sendall(struct.pack("<IIQ" if self.wide else "<III", kind, len(body), ident) + body)
            except OSError:
                self.drop_usb()

    def read_usb(self, s):
        if s is not self.usb:
            return
        try:
            d = s.recv(1 << 16)
        except OSError:
            d = b""
        if not d:
            return self.drop_usb()
        self.buf += d
        while self.usb:
            head = 16 if self.wide else 12
            if len(self.buf) < head:
                return
            kind, n, ident = struct.unpack("<IIQ" if self.wide else "<III", self.buf[:head])
            if len(self.buf) < head + n:
                return
            body, self.buf = self.buf[head:head + n], self.buf[head + n:]
            self.packet(kind, ident, body)

    def tables(self):
        dev = self.dev
        columns = zip(*dev.ifaces, *[(0, 0, 0, 0)] * (32 - len(dev.ifaces)))
        self.send(IFACES, 0, struct.pack("<I", len(dev.ifaces)) + b"".join(map(bytes, columns)))
        t, iv, ifc, sz = [255] * 32, [0] * 32, [0] * 32, [0] * 32
        t[0] = t[16] = 0
        sz[0] = sz[16] = 64
        for ep, (a, b, c, d) in dev.eps.items():
            n = (ep & 0x80) >> 3 | ep & 15
            t[n], iv[n], ifc[n], sz[n] = a, b, c, d
        self.send(EPS, 0, bytes(t) + bytes(iv) + bytes(ifc) + struct.pack("<32H", *sz))

    def packet(self, kind, ident, body):
        dev = self.dev
        if kind == HELLO:
            self.wide = bool(len(body) >= 68 and struct.unpack_from("<I", body, 64)[0] & 1 << 5)
            self.tables()
            self.send(CONNECT, 0, struct.pack("<BBBBHHH", 1, *dev.dclass, *dev.ids, dev.version))
            self.emit(usb="connected")
        elif kind == SETCFG:
            self.tables()
            self.send(CFGSTAT, ident, bytes([OK, body[0]]))
        elif kind == GETCFG:
            self.send(CFGSTAT, ident, bytes([OK, 1]))
        elif kind in (SETALT, GETALT):
            self.send(ALTSTAT, ident, bytes([OK, body[0], body[1] if kind == SETALT else 0]))
        elif kind in (INT_START, INT_STOP):
            self.notes = kind == INT_START
            self.changed = self.notes            # tell the present lines at once
            self.send(INT_STAT, ident, bytes([OK, body[0]]))
        elif kind == CONTROL:
            ep, req, rtype, _, value, index, length = struct.unpack("<BBBBHHH", body[:10])
            r = dev.control(rtype, req, value, index, length, body[10:])
            data = (r or b"")[:length]
            n = len(data) if rtype & 0x80 else length
            self.send(CONTROL, ident, struct.pack("<BBBBHHH", ep, req, rtype, STALL if r is None else OK, value, index,
                                                  n if r is not None else 0) + data)
        elif kind == BULK:
            ep, _, low, _, high = struct.unpack("<BBHIH", body[:10])
            length = high << 16 | low
            if ep & 0x80:
                self.reads.append((ident, ep, length))
            else:
                self.held.append([ident, ep, body[10:], 0])
                self.release()
        elif kind == CANCEL:
            for n, (i, ep, length) in enumerate(self.reads):
                if i == ident:
                    del self.reads[n]
                    return self.bulk(ident, ep, CANCELLED, 0)
            for n, (i, ep, _, taken) in enumerate(self.held):
                if i == ident:
                    del self.held[n]
                    return self.bulk(ident, ep, CANCELLED, taken)
        self.feed()

    def bulk(self, ident, ep, status, length, data=b""):
        self.send(BULK, ident, struct.pack("<BBHIH", ep, status, length & 0xFFFF, 0, length >> 16) + data)

    def release(self):
        while self.usb and self.held and not self.dev.hold:
            ident, ep, data, taken = self.held[0]
            taken += self.dev.accept(data[taken:])
            self.held[0][3] = taken
            if taken < len(data):
                return
            self.held.pop(0)
            self.bulk(ident, ep, OK, len(data))

    def feed(self):
        """Answer the guest's waiting reads with what there is."""
        dev = self.dev
        if not self.usb:
            return
        if dev.note_in and self.notes:
            while self.changed or dev.errors:
                self.changed = False
                n = dev.note()
                self.send(INTERRUPT, self.note_id, struct.pack("<BBH", dev.note_in, OK, len(n)) + n)
                self.note_id += 1
        while self.reads and (dev.rx or not dev.note_in and self.changed):
            ident, ep, length = self.reads.pop(0)
            self.changed = False
            data = dev.next_in(length)
            self.bulk(ident, ep, OK, len(data), data)


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--usb", required=True)
    p.add_argument("--ctl", required=True)
    p.add_argument("--kind", choices=["ftdi", "ch341", "acm"], default="ftdi")
    p.add_argument("--serial", default="A50285BI")
    a = p.parse_args()
    try:
        Peer(a.usb, a.ctl, {"ftdi": Ftdi, "ch341": Ch341, "acm": Acm}[a.kind](a.serial)).run()
    except KeyboardInterrupt:
        pass
