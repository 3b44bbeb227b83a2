"""ws.py: a WebSocket client for the tests (RFC 6455, no extensions): plain mode, and control mode `wsbridge.v1`.

Each connection has a thread that reads; what it read is stamped with the monotonic clock in milliseconds.
"""
import base64, hashlib, json, os, socket, ssl, struct, threading, time

PATIENCE = float(os.environ.get("VM_PATIENCE", "1"))      # as in far.py

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The server answered the handshake with an HTTP error."""

    def __init__(self, status, body):
        super().__init__(f"HTTP {status}: {body.strip()}")
        self.status, self.body = status, body


class Gone(AssertionError):
    """The connection ended while something was waited for."""


class _Tls:
    """TLS on a socket that one thread reads and others write: Python's own is for one thread at a time."""

    def __init__(self, s, context):
        self.s, self.lock, self.incoming, self.outgoing = s, threading.Lock(), ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.settimeout, self.shutdown, self.close = s.settimeout, s.shutdown, s.close
        self._until(self.tls.do_handshake)

    def _until(self, step, *words):
        while True:
            with self.lock:
                try:
                    return step(*words)
                except ssl.SSLWantReadError:
                    pass
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return b""
                finally:
                    if self.outgoing.pending:
                        self.s.sendall(self.outgoing.read())
            part = self.s.recv(65536)
            with self.lock:
                self.incoming.write(part) if part else self.incoming.write_eof()

    def recv(self, count):
        return self._until(self.tls.read, count)

    def sendall(self, data):
        self._until(self.tls.write, data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _connect(port, timeout, tls):
    """A connection; `tls` is an ssl.SSLContext, or nothing."""
    s = socket.create_connection(("127.0.0.1", port), timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Tls(s, tls) if tls else s


def http(port, path, token=None, timeout=10, tls=None):
    """GET; returns status and body."""
    with _connect(port, timeout, tls) as s:
        s.settimeout(timeout)
        s.sendall(_request(port, path, token, "Connection: close\r\n"))
        data = b""
        while part := s.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    if not head:
        raise ConnectionError("no answer")
    return int(head.split()[1]), body.decode(errors="replace")


def _request(port, path, token, more):
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    if isinstance(token, tuple):          # user and password
        bearer = f"Authorization: Basic {base64.b64encode(':'.join(token).encode()).decode()}\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{bearer}{more}\r\n".encode()


class Socket:
    """A connection; `code` is the close code once the server has closed (1006: it just ended)."""

    def __init__(self, port, path, token=None, protocols=(), timeout=20, tls=None):
        self.timeout, self.code, self.reason = timeout, None, ""
        self.news, self.sending = threading.Condition(), threading.Lock()
        self.s = _connect(port, timeout, tls)
        key = base64.b64encode(os.urandom(16))
        offer = f"Sec-WebSocket-Protocol: {', '.join(protocols)}\r\n" if protocols else ""
        self.s.sendall(_request(port, path, token, f"Connection: Upgrade\r\nUpgrade: websocket\r\n{offer}"
                                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key.decode()}\r\n"))
        self.buf = b""
        while b"\r\n\r\n" not in self.buf:
            self._fill()
        head, _, self.buf = self.buf.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split()[1])
        if status != 101:
            length = int(fields.get("content-length", 0))
            while len(self.buf) < length:
                self._fill()
            self.s.close()
            raise Refused(status, self.buf.decode(errors="replace"))
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        if fields.get("sec-websocket-accept") != accept:
            raise AssertionError(f"wrong Sec-WebSocket-Accept: {head!r}")
        self.protocol = fields.get("sec-websocket-protocol")
        self.s.settimeout(None)
        threading.Thread(target=self._listen, daemon=True).start()

    def _fill(self):
        part = self.s.recv(65536)
        if not part:
            raise ConnectionError("the connection ended")
        self.buf += part

    def _take(self, count):
        while len(self.buf) < count:
            self._fill()
        out, self.buf = self.buf[:count], self.buf[count:]
        return out

    def _listen(self):
        code, reason, kind, message = 1006, "", TEXT, b""
        try:
            while True:
                first, second = self._take(2)
                size = second & 127
                if size > 125:
                    size = struct.unpack(">H" if size == 126 else ">Q", self._take(2 if size == 126 else 8))[0]
                body, opcode = self._take(size), first & 15
                if opcode == PING:
                    self._send(PONG, body)
                elif opcode == CLOSE:
                    code, reason = (struct.unpack(">H", body[:2])[0], body[2:].decode()) if body else (1005, "")
                    self._send(CLOSE, body[:2])
                    break
                elif opcode != PONG:
                    kind, message = (opcode, body) if opcode else (kind, message + body)
                    if first & 128:
                        with self.news:
                            self.arrived(kind, message, time.monotonic() * 1000)
                            self.news.notify_all()
                        message = b""
        except (OSError, ConnectionError):
            pass
        with self.news:
            self.code, self.reason = code, reason
            self.ended_ms = time.monotonic() * 1000
            self.news.notify_all()
        self.s.close()

    def _send(self, opcode, body):
        size = len(body)
        head = bytes([128 | opcode]) + (bytes([128 | size]) if size < 126 else
                                        bytes([254]) + struct.pack(">H", size) if size < 65536 else
                                        bytes([255]) + struct.pack(">Q", size))
        mask = os.urandom(4)
        whole = int.from_bytes(mask * (size // 4 + 1), "big") >> 8 * (4 - size % 4)
        masked = (int.from_bytes(body, "big") ^ whole).to_bytes(size, "big")
        with self.sending:
            self.s.sendall(head + mask + masked)

    def until(self, ready, what, timeout=None):
        """Waits under the lock until `ready` gives something true; returns it."""
        timeout = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout * PATIENCE
        with self.news:
            while True:
                if got := ready():
                    return got
                if self.code is not None:
                    raise Gone(f"closed ({self.code} {self.reason}) before {what}")
                left = deadline - time.monotonic()
                if left <= 0 or not self.news.wait(left):
                    raise AssertionError(f"no {what} within {timeout} s; {self.have()}")

    def wait_closed(self, timeout=None):
        """Waits for the end; returns the close code."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout) * PATIENCE
        with self.news:
            while self.code is None:
                if not self.news.wait(max(0, deadline - time.monotonic())) and time.monotonic() > deadline:
                    raise AssertionError(f"not closed in time; {self.have()}")
            return self.code

    def close(self):
        """An orderly end: our Close frame, and the server's answer."""
        try:
            self._send(CLOSE, struct.pack(">H", 1000))
        except OSError:
            pass
        return self.wait_closed()

    leave = close

    def cut(self):
        """The connection is lost: no Close frame."""
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.wait_closed()


class Plain(Socket):
    """Plain mode: bytes."""

    def __init__(self, port, endpoint, token, **more):
        self.data = bytearray()
        super().__init__(port, f"/ws/{endpoint}", token, **more)

    def arrived(self, kind, body, ms):
        self.data += body

    def have(self):
        return f"{len(self.data)} bytes: {bytes(self.data[-60:])!r}"

    def write(self, data):
        self._send(BINARY, data)

    def read(self, count, timeout=None):
        self.until(lambda: len(self.data) >= count, f"{count} bytes", timeout)
        with self.news:
            out = bytes(self.data[:count])
            del self.data[:count]
            return out


class Failed(AssertionError):
    """An `error` answered a request."""

    def __init__(self, answer):
        super().__init__(f"{answer['code']}: {answer.get('message')}")
        self.code, self.message = answer["code"], answer.get("message", "")


class Control(Socket):
    """Control mode. `log` has everything that came, in order: (ms, message or bytes, offset of the first byte)."""

    def __init__(self, port, endpoint, token, **more):
        self.log, self.offset, self.id = [], 0, 0
        self.answers, self.tx_acked, self.session, self.epoch = {}, 0, None, None
        super().__init__(port, f"/ws/{endpoint}", token, protocols=["wsbridge.v1"], **more)
        if self.protocol != "wsbridge.v1":
            raise AssertionError(f"the server chose {self.protocol!r}, not wsbridge.v1")
        self.hello = self.wait("hello")

    def arrived(self, kind, body, ms):
        if kind == BINARY:
            self.log.append((ms, bytes(body), self.offset))
            self.offset += len(body)
            return
        message = json.loads(body)
        self.log.append((ms, message, self.offset))
        if message["type"] in ("opened", "resumed"):
            self.offset = message["rx"]
            self.session, self.epoch = message.get("session", self.session), message.get("epoch", self.epoch)
        elif message["type"] == "gap":
            self.offset = message["to"]
        elif message["type"] == "ack":
            self.tx_acked = message["tx"]
        if "re" in message:
            self.answers[message["re"]] = message

    def have(self):
        return f"last of the log: {[entry[1] for entry in self.log[-12:]]}"

    def say(self, kind, **members):
        self._send(TEXT, json.dumps({"type": kind, **members}).encode())

    def begin(self, kind, **members):
        """Sends a request without waiting; `finish` takes its number."""
        self.id += 1
        self.say(kind, id=self.id, **members)
        return self.id

    def finish(self, number, timeout=None):
        answer = self.until(lambda: self.answers.pop(number, None), f"answer to {number}", timeout)
        if answer["type"] == "error":
            raise Failed(answer)
        return answer

    def ask(self, kind, timeout=None, **members):
        """A request and its answer."""
        return self.finish(self.begin(kind, **members), timeout)

    def open(self, **members):
        return self.ask("open", **members)

    def mark(self):
        with self.news:
            return len(self.log)

    def wait(self, kind, fits=lambda message: True, since=0, timeout=None):
        """The first message of a type since a mark that fits."""
        return self.wait_entry(kind, fits, since, timeout)[1]

    def wait_entry(self, kind, fits=lambda message: True, since=0, timeout=None):
        """Likewise, with its time and the offset it came at."""
        def find():
            for entry in self.log[since:]:
                if isinstance(entry[1], dict) and entry[1]["type"] == kind and fits(entry[1]):
                    return entry
            return None
        return self.until(find, f"`{kind}`", timeout)

    def messages(self, kind, since=0):
        with self.news:
            return [entry[1] for entry in self.log[since:]
                    if isinstance(entry[1], dict) and entry[1]["type"] == kind]

    def leave(self):
        """Ends the session, so that it does not wait to be resumed, and the connection."""
        try:
            self.ask("close", timeout=5)
        except AssertionError:
            pass                          # no session was open, or the connection is gone
        self.cut()

    def data_len(self, since=0):
        """Bytes since a mark; for use inside `until`."""
        return sum(len(entry[1]) for entry in self.log[since:] if isinstance(entry[1], bytes))

    def data(self, since=0):
        with self.news:
            return b"".join(entry[1] for entry in self.log[since:] if isinstance(entry[1], bytes))

    def write(self, data):
        self._send(BINARY, data)

    def read(self, count, since=0, timeout=None):
        """Waits for so many bytes since a mark, and acknowledges them."""
        self.until(lambda: self.data_len(since) >= count, f"{count} bytes", timeout)
        self.say("ack", rx=self.offset)
        return self.data(since)
