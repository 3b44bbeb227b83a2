"""A session of wsbridge.v1: what is sent next, and what it changes when something is heard.

No socket, no clock, no lock: `line` has those. docs/protocol.md is the specification.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .error import LineError
from .resend import Resend

WINDOW = 1 << 20
"""Bytes that the gateway may send before the program has read them: the most there can be."""

SETTINGS = ("baud", "data", "parity", "stop", "flow")
INPUTS = ("cts", "dsr", "ri", "dcd")

Message = dict[str, Any]


@dataclass
class Request:
    """A message that gets an answer."""

    message: Message
    at: int | None
    """It follows the byte at this offset; None: it takes effect on receipt."""
    answer: Future[Message] = field(default_factory=Future)
    sent: bool = False

    @property
    def kind(self) -> str:
        """The message's type."""
        return str(self.message["type"])


class Session:
    """One session, over as many connections as it takes."""

    def __init__(self) -> None:
        """Begin without one: `open` is the first request."""
        self.hello: Message = {}
        self.secret: str | None = None
        self.role = "observer"
        self.settings: Message = {}
        self.inputs: dict[str, bool] = {}
        self.caps: list[str] = []
        self.rights: list[str] = []
        """What the session may do now."""
        self.held: str | None = None
        """Why that is less than its principal may: somebody holds it read-only."""
        self.notices: deque[tuple[str, str]] = deque(maxlen=8)
        """Messages for people: whose, and the text."""
        self.is_known = False
        """Its state has been told, and with it what it can do."""
        self.output = Resend()
        self.lease_news: str | None = None
        self.broken: LineError | None = None
        """Nothing more will come."""
        self._failure: LineError | None = None
        self._input = bytearray()
        self._gaps: deque[tuple[int, int]] = deque()
        self._epoch = ""
        self._received = self._consumed = self._told = 0
        self._ids = itertools.count(1)
        self._resuming: int | None = None
        self._urgent: deque[Request] = deque()
        self._in_line: deque[Request] = deque()
        self._pending: dict[int, Request] = {}

    # The program's side.

    def ask(self, message: Message, *, in_line: bool = False) -> Future[Message]:
        """Queue a request, `in_line` with the bytes written before."""
        request = Request({**message, "id": next(self._ids)}, self.output.end if in_line else None)
        if self.broken:
            request.answer.set_exception(self.broken)
            return request.answer
        self._pending[request.message["id"]] = request
        (self._in_line if in_line else self._urgent).append(request)
        return request.answer

    @property
    def waiting(self) -> list[Future[Message]]:
        """The answers that are awaited."""
        return [request.answer for request in self._pending.values()]

    @property
    def available(self) -> int:
        """How many bytes can be read, up to the next that are missing."""
        return self._gaps[0][0] if self._gaps else len(self._input)

    @property
    def is_full(self) -> bool:
        """Whether more has come than the program should be sent before it reads."""
        return len(self._input) > 2 * WINDOW

    @property
    def owes_ack(self) -> bool:
        """Whether so much was read that the gateway is to know."""
        return self.secret is not None and self._consumed - self._told >= WINDOW // 4

    @property
    def has_gap(self) -> bool:
        """Whether what comes next is missing."""
        return bool(self._gaps) and self._gaps[0][0] == 0

    def take(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        size = min(size, self.available)
        data = bytes(self._input[:size])
        del self._input[:size]
        self._gaps = deque((at - size, missing) for at, missing in self._gaps)
        self._consumed += size
        return data

    def skip_gap(self) -> LineError:
        """Go on after bytes that are missing."""
        _, missing = self._gaps.popleft()
        self._consumed += missing
        return LineError("gap", f"{missing} bytes were lost: the program read too slowly")

    def fail(self, error: LineError) -> None:
        """Keep what went wrong for the next call."""
        self._failure = self._failure or error

    def failed(self) -> LineError | None:
        """Give what has gone wrong since the last call."""
        failure, self._failure = self._failure, None
        return failure

    # The connection's side.

    def connected(self, hello: Message) -> None:
        """Begin another connection."""
        self.hello = hello
        self.rights = hello["endpoint"].get("rights", self.rights)
        self._resuming = None if self.secret is None else next(self._ids)

    def first_frame(self) -> str | None:
        """Give what a connection begins with."""
        if self._resuming is None:
            return None
        place = {"session": self.secret, "epoch": self._epoch, "rx": self._received}
        return json.dumps({"type": "resume", "id": self._resuming, **place})

    def next_frame(self) -> str | bytes | None:
        """Give the next frame: acknowledgements, requests on receipt, then what is in line."""
        if self._resuming is not None:
            return None
        if self.owes_ack:
            self._told = self._consumed
            return json.dumps({"type": "ack", "rx": self._told})
        if self._urgent:
            return self._sending(self._urgent.popleft())
        before = self._in_line[0].at if self._in_line else None
        data = self.output.take(before)
        if data is None and before is not None and self.output.next >= before:
            return self._sending(self._in_line.popleft())
        return data

    def _sending(self, request: Request) -> str:
        request.sent = True
        if request.kind == "flush" and request.message.get("tx"):
            self.output.drop_unsent()
            for each in self._in_line:
                each.at = min(each.at or 0, self.output.end)
        return json.dumps(request.message)

    def lost(self) -> None:
        """Keep what was asked on a connection that is gone: it is asked again."""
        self._resuming = None
        sent = [request for request in self._pending.values() if request.sent]
        for request in reversed(sent):
            (self._urgent if request.at is None else self._in_line).appendleft(request)

    def end(self, error: LineError) -> None:
        """Nothing more will come."""
        if self.broken is None:
            self.broken = error
        for request in list(self._pending.values()):
            self._answer(request.message["id"], error)

    def heard(self, frame: str | bytes) -> None:
        """Take a frame; a LineError says that it breaks the protocol."""
        if isinstance(frame, bytes):
            self._data(frame)
            return
        try:
            message = json.loads(frame)
            handle = getattr(self, f"_on_{message['type']}", None)
            # A type that is not known is of a newer gateway.
            if handle:
                handle(message)
        except (ValueError, KeyError, TypeError) as error:
            raise LineError("foreign", f"the gateway says what this cannot read: {error}") from None

    def _data(self, data: bytes) -> None:
        if self.secret is None or self._resuming is not None:
            return
        self._received += len(data)
        self._input += data

    def _answer(self, number: int, outcome: Message | LineError) -> None:
        request = self._pending.pop(number, None)
        if request is None or request.answer.done():
            return
        if isinstance(outcome, LineError):
            request.answer.set_exception(outcome)
        else:
            request.answer.set_result(outcome)

    def _on_opened(self, message: Message) -> None:
        self.secret, self._epoch = message["session"], message["epoch"]
        self._received = self._consumed = self._told = message["rx"]
        whole = "datagrams" in self.hello["endpoint"].get("caps", [])
        self.output = Resend(message["window"], whole=whole)
        self._state(message)
        self._answer(message["re"], message)

    def _on_resumed(self, message: Message) -> None:
        if message.get("re") != self._resuming or message["rx"] != self._received:
            raise LineError("foreign", "the gateway has resumed something else")
        self._resuming = None
        self.output.resumed(message["tx"])
        self._state(message)
        for request in [each for each in self._in_line if each.sent]:
            # The gateway has what follows it, so it has this. A second pulse would be one too many.
            if request.kind == "signals" and (request.at or 0) < message["tx"]:
                self._in_line.remove(request)
                self._answer(request.message["id"], {})
            request.sent = False

    def _state(self, message: Message) -> None:
        self.role = message["role"]
        self.settings = message.get("config") or self.settings
        self.inputs = message.get("signals") or self.inputs

    def _on_ok(self, message: Message) -> None:
        if "rx" in message and self._is(message["re"], "flush"):
            self._input.clear()
            self._gaps.clear()
            self._received = self._consumed = self._told = message["rx"]
        elif "signals" in message:
            self._on_signals(message["signals"])
        elif self._is(message["re"], "config"):
            change = self._pending[message["re"]].message
            self.settings |= {name: change[name] for name in SETTINGS if name in change}
        self._answer(message["re"], message)

    def _is(self, number: int, kind: str) -> bool:
        return number in self._pending and self._pending[number].kind == kind

    def _on_error(self, message: Message) -> None:
        error = LineError(message["code"], message["message"])
        number = message.get("re")
        if number is None:
            self.fail(error)
        elif number == self._resuming:
            self.end(LineError("session_gone", f"the session is gone: {error}"))
        else:
            self._answer(number, error)

    def _on_ack(self, message: Message) -> None:
        if self.secret:
            self.output.ack(message["tx"])

    def _on_gap(self, message: Message) -> None:
        if self.secret and self._resuming is None:
            self._received = message["to"]
            self._gaps.append((len(self._input), message["to"] - message["from"]))

    def _on_signals(self, message: Message) -> None:
        self.inputs = {**self.inputs, **{line: message[line] for line in INPUTS if line in message}}

    def _on_config(self, message: Message) -> None:
        self.settings = {name: message[name] for name in SETTINGS if name in message}

    def _on_lease(self, message: Message) -> None:
        self.role, self.lease_news = message["you"], message.get("reason", self.lease_news)

    def _on_rights(self, message: Message) -> None:
        self.rights, self.held = message["rights"], message.get("why")

    def _on_notice(self, message: Message) -> None:
        self.notices.append((str(message["from"]), str(message["text"])))

    def _on_status(self, message: Message) -> None:
        self.caps, self.is_known = message.get("caps", self.caps), True
        if message["state"] == "down" and "datagrams" not in self.caps:
            why = message.get("error") or "the device is gone"
            self.end(LineError("line_down", why))
