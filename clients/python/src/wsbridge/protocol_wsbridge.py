"""A line as a port of pyserial: what `serial.serial_for_url("wsbridge://..")` gives."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
    to_bytes,
)

from . import address
from .access import Access
from .error import LineError
from .line import Line, wait
from .settings import read as settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How pyserial finds the scheme whose name is no identifier.
sys.modules[f"{__name__}+http"] = sys.modules[__name__]


@contextmanager
def _serial_errors() -> Iterator[None]:
    """What goes wrong, as pyserial's programs expect it."""
    try:
        yield
    except LineError as error:
        if error.code in {"bad_config", "bad_message"}:
            raise ValueError(str(error)) from error
        raise SerialException(str(error)) from error


class Serial(SerialBase):  # type: ignore[misc]
    """A port. It may be given a `token`, or `ticket`, a function that gives a new one each time.

    `on_notice` is called with whose it is and the text of each message for people, in a thread of
    ours; without it they are logged.
    """

    def __init__(
        self,
        *args: Any,
        token: str | None = None,
        ticket: Callable[[], str] | None = None,
        on_notice: Callable[[str, str], None] | None = None,
        **kwargs: Any,
    ) -> None:
        self.is_open = False
        self._line: Line | None = None
        self._token, self._ticket, self._on_notice = token, ticket, on_notice
        # DTR and RTS as the program wants them; what it does not mention stays as it is.
        self._outputs: dict[str, bool] = {}
        super().__init__(*args, **kwargs)

    def open(self) -> None:
        if self._port is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        where = address.read(self._port)
        outputs = dict(self._outputs)
        if self._rtscts:
            outputs.pop("rts", None)
        with _serial_errors():
            try:
                access = Access(where, self._token, self._ticket)
                line = Line(where, access, on_notice=self._on_notice)
                wait(line.open(self._settings(), outputs))
            except LineError as error:
                raise LineError(error.code, f"could not open {self._port}: {error}") from error
        self._line = line
        self._break_state = False
        self.is_open = True

    def close(self) -> None:
        line, self._line, self.is_open = self._line, None, False
        if line:
            with _serial_errors():
                wait(line.close())

    @property
    def _opened(self) -> Line:
        if self._line is None:
            raise PortNotOpenError
        return self._line

    def _settings(self) -> dict[str, Any]:
        return settings_of(
            self._baudrate,
            self._bytesize,
            self._parity,
            self._stopbits,
            rtscts=self._rtscts,
            xonxoff=self._xonxoff,
        )

    def _reconfigure_port(self) -> None:
        if self._rs485_mode is not None:
            raise ValueError("RS-485 is set up in the gateway's configuration")
        with _serial_errors():
            if answer := self._opened.configure(self._settings()):
                wait(answer)

    @property
    def in_waiting(self) -> int:
        with _serial_errors():
            return self._opened.available

    @property
    def rights(self) -> tuple[str, ...]:
        """What it may do at the moment: `read`, `write`, `signals`, `settings`, ..."""
        return self._opened.rights

    @property
    def held(self) -> str | None:
        """Why it may only read although its user may more; None if it may all that its user may."""
        return self._opened.held

    @property
    def out_waiting(self) -> int:
        return self._opened.outstanding

    def read(self, size: int = 1) -> bytes:
        line = self._opened
        with _serial_errors():
            return line.read(size, self._timeout, self._inter_byte_timeout)

    def write(self, data: Any) -> int:
        line = self._opened
        with _serial_errors():
            try:
                return line.write(memoryview(to_bytes(data)), self._write_timeout)
            except LineError as error:
                if error.code == "timeout":
                    raise SerialTimeoutException(f"Write timeout: {error}") from None
                raise

    def flush(self) -> None:
        with _serial_errors():
            try:
                wait(self._opened.flush())
            except LineError as error:
                # Nobody can tell there whether the last of it has left the wire.
                if error.code != "unsupported":
                    raise

    def reset_input_buffer(self) -> None:
        with _serial_errors():
            wait(self._opened.discard(received=True))

    def reset_output_buffer(self) -> None:
        with _serial_errors():
            wait(self._opened.discard(written=True))

    def cancel_read(self) -> None:
        """Let a read in another thread return with what it has."""
        if self._line:
            self._line.interrupt("read")

    def cancel_write(self) -> None:
        """Let a write in another thread return with what was taken."""
        if self._line:
            self._line.interrupt("write")

    def send_break(self, duration: float = 0.25) -> None:
        steps = ({"break": True, "ms": round(duration * 1000)}, {"break": False})
        with _serial_errors():
            wait(self._opened.signals(*steps))

    def _update_break_state(self) -> None:
        with _serial_errors():
            self._opened.signals({"break": bool(self._break_state)})

    def _move(self, name: str, value: Any) -> None:
        self._outputs[name] = bool(value)
        if self.is_open:
            with _serial_errors():
                self._opened.signals({name: bool(value)})

    @property
    def dtr(self) -> bool:
        return bool(self._dtr_state)

    @dtr.setter
    def dtr(self, value: Any) -> None:
        self._dtr_state = value
        self._move("dtr", value)

    @property
    def rts(self) -> bool:
        return bool(self._rts_state)

    @rts.setter
    def rts(self, value: Any) -> None:
        self._rts_state = value
        self._move("rts", value)

    def _input(self, name: str) -> bool:
        with _serial_errors():
            line = self._opened
            if name not in line.inputs:
                wait(line.look())
            if name not in line.inputs:
                raise LineError("unsupported", f"the line does not say how {name.upper()} is")
            return line.inputs[name]

    @property
    def cts(self) -> bool:
        return self._input("cts")

    @property
    def dsr(self) -> bool:
        return self._input("dsr")

    @property
    def ri(self) -> bool:
        return self._input("ri")

    @property
    def cd(self) -> bool:
        return self._input("dcd")
