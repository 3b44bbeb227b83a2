"""A line as a port of serialx, for programs that wait and for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from serialx import BaseSerial, BaseSerialTransport, ModemPins, PinState, UnsupportedSetting
from serialx import register_uri_handler as register

from . import address
from .access import Access
from .error import LineError
from .line import Line, wait
from .settings import read as settings_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from serialx.common import PortSettingsUpdate

_HIGH = 64 * 1024
"""Bytes that may wait here before the program is asked to pause."""


class WsbridgeSerial(BaseSerial):
    """A port for programs that wait. DTR and RTS move only if the program says how."""

    def __init__(
        self,
        *args: Any,
        token: str | None = None,
        ticket: Callable[[], str] | None = None,
        connect_timeout: float | None = None,
        on_change: Callable[[], None] | None = None,
        on_notice: Callable[[str, str], None] | None = None,
        **kwargs: Any,
    ) -> None:
        self._line: Line | None = None
        self._asked = kwargs.keys() & {"dtr_on_open", "rts_on_open"}
        self._asked |= kwargs.keys() & {"dtr_on_close", "rts_on_close"}
        super().__init__(*args, **kwargs)
        self._token, self._ticket = token, ticket
        self._connect_timeout = connect_timeout
        self._on_change, self._on_notice = on_change, on_notice

    @property
    def line(self) -> Line:
        """The line, while it is open."""
        if self._line is None:
            raise LineError("not_open", "the port is not open")
        return self._line

    def prepare(self) -> Line:
        """Read what is needed to get in: files and certificates, which may be slow."""
        where = address.read(str(self._path))
        access = Access(where, self._token, self._ticket)
        return Line(where, access, self._on_change, self._on_notice)

    def begin(self, line: Line) -> Future[None]:
        """Open it; the future is done in another thread."""
        self._line = line
        pins = self._modem_pins_on_open()
        return line.open(self.settings(), self._pins_asked(pins, "open"), self._connect_timeout)

    def settings(self) -> dict[str, Any]:
        """All of them, in the words of the protocol."""
        return settings_of(
            self._baudrate,
            self._byte_size,
            self._parity.value,
            self._stopbits.value,
            rtscts=self._rtscts,
            xonxoff=self._xonxoff,
        )

    def _pins_asked(self, pins: ModemPins, when: str) -> dict[str, Any]:
        given = {"dtr": pins.dtr, "rts": pins.rts}
        return {
            name: pin is PinState.HIGH
            for name, pin in given.items()
            if f"{name}_on_{when}" in self._asked and pin is not PinState.UNDEFINED
        }

    def leave(self, *, drain: bool = True) -> Future[None] | None:
        """Close it; None if it is not open."""
        line, self._line = self._line, None
        if line is None:
            return None
        if pins := self._pins_asked(self._modem_pins_on_close(), "close"):
            # A line that has them not, or was not opened, is closed all the same.
            with contextlib.suppress(LineError):
                line.signals(pins)
        return line.close(drain=drain)

    def _open(self) -> None:
        wait(self.begin(self.prepare()))

    def _close(self) -> None:
        if left := self.leave():
            wait(left)

    @property
    def is_open(self) -> bool:
        return self._line is not None

    def reconfigure(self) -> Future[Any] | None:
        """Set what is different; None if nothing is."""
        return self.line.configure(self.settings())

    def _reconfigure_port(self, update: PortSettingsUpdate) -> None:
        del update
        if answer := self.reconfigure():
            with _unsupported():
                wait(answer)

    def _readinto(self, b: Any, *, timeout: float | None) -> int:
        view = memoryview(b).cast("B")
        # As a file's: it waits for the first byte, and takes what there is.
        data = self.line.read(1 if len(view) else 0, timeout)
        data += self.line.read(min(len(view) - len(data), self.line.available), 0) if data else b""
        view[: len(data)] = data
        return len(data)

    def _write(self, data: Any, *, timeout: float | None) -> int:
        try:
            return self.line.write(memoryview(bytes(data)), timeout)
        except LineError as error:
            raise (TimeoutError(str(error)) if error.code == "timeout" else error) from None

    def _flush(self) -> None:
        with _known():
            wait(self.line.flush())

    def num_unread_bytes(self) -> int:
        return self.line.available

    def num_unwritten_bytes(self) -> int:
        return self.line.outstanding

    def _reset_read_buffer(self) -> None:
        wait(self.line.discard(received=True))

    def _reset_write_buffer(self) -> None:
        wait(self.line.discard(written=True))

    def _get_modem_pins(self) -> ModemPins:
        names = {"cts": "cts", "dsr": "dsr", "rng": "ri", "car": "dcd"}
        inputs = self.line.inputs
        return ModemPins(**{pin: PinState.convert(inputs.get(name)) for pin, name in names.items()})

    def move(self, pins: ModemPins) -> Future[Any] | None:
        """Move DTR and RTS, both in one step."""
        steps = {"dtr": pins.dtr.to_bool(), "rts": pins.rts.to_bool()}
        step = {name: level for name, level in steps.items() if level is not None}
        return self.line.signals(step) if step else None

    def _set_modem_pins(self, modem_pins: ModemPins) -> None:
        self.move(modem_pins)


class WsbridgeTransport(BaseSerialTransport):
    """A port for asyncio. The line's own thread keeps it alive while the program's loop is busy."""

    transport_name = "wsbridge"

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__(loop, protocol)
        self._waiting = bytearray()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._high, self._low = _HIGH, _HIGH // 4
        self._paused_reading = self._paused_writing = False
        self._leaving: asyncio.Task[None] | None = None

    @property
    def _port(self) -> WsbridgeSerial:
        assert isinstance(self._serial, WsbridgeSerial)
        return self._serial

    async def _connect(self, *, path: str | None, **kwargs: Any) -> None:
        self._serial = WsbridgeSerial(path, on_change=self._changed, **kwargs)
        self._extra["serial"] = self._serial
        line = await self._loop.run_in_executor(None, self._port.prepare)
        await asyncio.wrap_future(self._port.begin(line))
        self._call_protocol_connection_made()
        self._move()

    def _changed(self) -> None:
        """Called in the line's thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._move)

    def _move(self) -> None:
        """Take what has come, hand over what waits."""
        if not self._connection_made_called or self._connection_lost_called:
            return
        try:
            line = self._port.line
            if not self._paused_reading and not self._closing and (data := line.read(_HIGH, 0)):
                self._protocol.data_received(data)
                self._loop.call_soon(self._move)
            self._hand_over()
        except LineError as error:
            self._fail(error)

    def _hand_over(self) -> None:
        if self._waiting:
            del self._waiting[: self._port.line.put(memoryview(bytes(self._waiting)))]
        if not self._waiting:
            self._emptied.set()
        if not self._paused_writing and len(self._waiting) > self._high:
            self._paused_writing = True
            self._protocol.pause_writing()
        elif self._paused_writing and len(self._waiting) <= self._low:
            self._paused_writing = False
            self._protocol.resume_writing()

    def _fail(self, error: LineError) -> None:
        if self._connection_lost_called:
            return
        self._closing = True
        self._mark_broken(error)
        self._leave_now()
        self._call_protocol_connection_lost(error)

    def _leave_now(self) -> Future[None] | None:
        self._waiting.clear()
        self._emptied.set()
        return self._port.leave(drain=False) if self._serial is not None else None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._check_broken()
        if self._closing:
            return
        self._waiting += data
        self._emptied.clear()
        try:
            self._hand_over()
        except LineError as error:
            # As every transport does: connection_lost tells it, not the caller.
            self._loop.call_soon(self._fail, error)

    def close(self) -> None:
        if self._closing or self._connection_lost_called:
            return
        self._closing = True
        self._mark_user_closed()
        self._arm_close_timeout()
        self._leaving = self._loop.create_task(self._leave())

    async def _leave(self) -> None:
        lost: LineError | None = None
        await self._emptied.wait()
        try:
            if self._serial is not None and (left := self._port.leave()):
                await asyncio.wrap_future(left)
        except LineError as error:
            lost = error
        self._call_protocol_connection_lost(lost)

    def abort(self) -> None:
        if self._connection_lost_called:
            return
        self._closing = True
        self._mark_user_closed()
        if left := self._leave_now():
            # Who waits for the end can open the line again.
            left.add_done_callback(self._left)
        else:
            self._call_protocol_connection_lost(None)

    def _left(self, left: Future[None]) -> None:
        left.exception()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._call_protocol_connection_lost, None)

    def pause_reading(self) -> None:
        self._paused_reading = True

    def resume_reading(self) -> None:
        self._paused_reading = False
        self._loop.call_soon(self._move)

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = _HIGH if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return False

    async def _flush(self) -> None:
        await self._emptied.wait()
        self._check_broken()
        with _known():
            await asyncio.wrap_future(self._port.line.flush())

    async def _reconfigure_port(self, update: PortSettingsUpdate) -> None:
        del update
        if answer := self._port.reconfigure():
            with _unsupported():
                await asyncio.wrap_future(answer)

    async def _get_modem_pins(self) -> ModemPins:
        return self._port.get_modem_pins()

    async def _set_modem_pins(self, modem_pins: ModemPins) -> None:
        self._port.set_modem_pins(modem_pins)


@contextlib.contextmanager
def _unsupported() -> Any:
    try:
        yield
    except LineError as error:
        if error.code not in {"bad_config", "bad_message"}:
            raise
        raise UnsupportedSetting(str(error)) from error


@contextlib.contextmanager
def _known() -> Any:
    """Nobody can tell on some lines whether the last byte has left the wire."""
    try:
        yield
    except LineError as error:
        if error.code != "unsupported":
            raise


for _scheme in address.SCHEMES:
    register(
        scheme=f"{_scheme}://",
        unique_scheme=f"{_scheme}://",
        sync_cls=WsbridgeSerial,
        async_transport_cls=WsbridgeTransport,
        connect_kwargs=frozenset({"token", "ticket", "connect_timeout"}),
    )
