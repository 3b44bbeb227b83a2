"""A line of a gateway, for programs with threads: its connections live on a thread of their own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from websockets.exceptions import ConnectionClosed

from .dial import again, dial
from .error import LineError
from .session import WINDOW, Message, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

    from websockets.asyncio.client import ClientConnection

    from .access import Access
    from .address import Address

OPENING = 15.0
"""Seconds that opening may take."""

ASKING = 35.0
"""Seconds that the lease's holder may take to answer: the gateway answers for him after 30."""

CLOSING = 35.0
"""Seconds that closing waits for bytes to leave: the gateway gives up after 30 without any."""

_LEAVING = 2
"""The same, where what was written is dropped."""

_AGAIN = {1001, 1005, 1006, 1011, 1012, 4408, 4420}
"""The endings after which a session may go on (docs/protocol.md section 10)."""

_REQUESTS = 32
"""Requests that may wait; the next waits for its own answer. The gateway takes 64."""

_log = logging.getLogger("wsbridge")

T = TypeVar("T")


def wait(answer: Future[T], timeout: float | None = None) -> T:
    """Wait for an answer, in a thread of the program."""
    try:
        return answer.result(timeout)
    except TimeoutError:
        raise LineError("timeout", f"no answer within {timeout} s") from None


class Line:
    """One session on one line. Its methods may be called in any thread."""

    def __init__(
        self,
        address: Address,
        access: Access,
        on_change: Callable[[], None] | None = None,
        on_notice: Callable[[str, str], None] | None = None,
    ) -> None:
        """Prepare it.

        In the connection's thread `on_change` is called when something has come, and `on_notice`
        with each message for people: whose it is, and its text. Without that it is logged.
        """
        self.address = address
        self._access = access
        self._on_change = on_change
        self._on_notice = on_notice or _log_notice
        self._session = Session()
        self._changed = threading.Condition()
        self._interrupted: set[str] = set()
        self._claim: Future[Message] | None = None
        self._closed: Future[None] | None = None
        self._told_broken = False
        self._task: asyncio.Task[None] | None = None

    # What a program does with a port. Futures are done in the connection's thread.

    def open(
        self, settings: Message, outputs: Message, timeout: float | None = None
    ) -> Future[None]:
        """Begin a session with these settings; DTR and RTS move only as `outputs` says."""
        return _run(self._open(settings, outputs, timeout or OPENING))

    def close(self, *, drain: bool = True) -> Future[None]:
        """End the session; what was written leaves first, unless it is not to `drain`."""
        # Also for a port that is dropped when the interpreter has ended, and with it our thread.
        self._closed = self._closed or _run(self._close(drain=drain))
        return self._closed

    def read(self, size: int, timeout: float | None, between: float | None = None) -> bytes:
        """Read `size` bytes, or what has come in time; between two at most `between` s go by."""
        end = None if timeout is None else time.monotonic() + timeout
        data, last = b"", time.monotonic()
        with self._changed:
            while True:
                now = time.monotonic()
                if more := self._session.take(size - len(data)):
                    data, last = data + more, now
                    if self._session.owes_ack:
                        self._wake()
                if len(data) == size or self._is_interrupted("read"):
                    return data
                if self._session.has_gap or self._session.broken:
                    break
                left = [] if end is None else [end - now]
                if between and data:
                    left.append(last + between - now)
                if left and min(left) <= 0:
                    return data
                self._changed.wait(min(left, default=None))
            if data:
                return data
            if self._session.has_gap:
                raise self._session.skip_gap()
            self._check()
        return data

    def write(self, data: memoryview, timeout: float | None) -> int:
        """Hand over all bytes; with a time-out of 0, as many as there is room for."""
        end = None if timeout is None else time.monotonic() + timeout
        done = 0
        with self._changed:
            while True:
                done += self.put(data[done:])
                if done == len(data) or timeout == 0 or self._is_interrupted("write"):
                    return done
                if not self._changed.wait(None if end is None else end - time.monotonic()):
                    raise LineError("timeout", f"{len(data) - done} bytes were not taken in time")

    def put(self, data: memoryview) -> int:
        """Hand over as many bytes as there is room for. A lost lease is claimed first."""
        with self._changed:
            self._check()
            if self._session.role != "writer":
                self._claim_lease()
                return 0
            taken = self._session.output.push(data)
        self._wake()
        return taken

    def interrupt(self, what: str) -> None:
        """Let a `read` or `write` return with what it has."""
        with self._changed:
            self._interrupted.add(what)
            self._changed.notify_all()

    def flush(self) -> Future[Message]:
        """Wait until everything written is out and the wire is idle, as far as it is known."""
        return self._ask({"type": "drain"}, in_line=True)

    def discard(self, *, received: bool = False, written: bool = False) -> Future[Message]:
        """Drop what has come and was not read, or what was written and is not on the wire."""
        return self._ask({"type": "flush", "rx": received, "tx": written})

    def configure(self, settings: Message) -> Future[Message] | None:
        """Change what is different; None if nothing is, or the line has no settings."""
        with self._changed:
            now = self._session.settings
            change = {name: value for name, value in settings.items() if now.get(name) != value}
            if not change or "config" not in self._session.caps:
                return None
            # A line that is stuck by its flow control is got going by another one.
            when = "now" if "flow" in change else "drain"
            return self._ask({"type": "config", "when": when, **change}, in_line=True)

    def signals(self, *steps: Message) -> Future[Message]:
        """Move DTR, RTS or break. The gateway keeps the time between the steps of two calls."""
        missing = {"dtr", "rts", "break"} & set().union(*steps) - set(self._session.caps)
        if missing:
            raise LineError("unsupported", f"the line has no {missing.pop().upper()}")
        steps[0]["at"] = time.monotonic() * 1000
        answer = self._ask({"type": "signals", "steps": steps}, in_line=True)
        answer.add_done_callback(self._moved)
        if len(self._session.waiting) > _REQUESTS:
            wait(answer)
        return answer

    def look(self) -> Future[Message]:
        """Ask for the modem lines, where they are not known yet."""
        return self._ask({"type": "get"})

    @property
    def available(self) -> int:
        """How many bytes can be read at once."""
        with self._changed:
            if not self._session.available:
                self._check()
            return self._session.available

    @property
    def outstanding(self) -> int:
        """How many bytes the gateway has not passed on, as far as it has said."""
        with self._changed:
            return self._session.output.end - self._session.output.base

    @property
    def inputs(self) -> dict[str, bool]:
        """The modem lines that are known: `cts dsr ri dcd`."""
        with self._changed:
            self._check()
            return self._session.inputs

    @property
    def rights(self) -> tuple[str, ...]:
        """What this session may do at the moment, in the words of the configuration."""
        with self._changed:
            return tuple(self._session.rights)

    @property
    def held(self) -> str | None:
        """Why it may do less than its user: locked by the key switch, held by a moderator, ..."""
        with self._changed:
            return self._session.held

    @property
    def broken(self) -> LineError | None:
        """Why nothing more will come."""
        return self._session.broken

    # Inside: with the lock.

    def _check(self) -> None:
        if failure := self._session.failed():
            raise failure
        if self._session.broken:
            self._told_broken = True
            raise LineError(self._session.broken.code, str(self._session.broken))

    def _is_interrupted(self, what: str) -> bool:
        interrupted = what in self._interrupted
        self._interrupted.discard(what)
        return interrupted

    def _ask(self, message: Message, *, in_line: bool = False) -> Future[Message]:
        with self._changed:
            answer = self._session.ask(message, in_line=in_line)
        self._wake()
        return answer

    def _claim_lease(self) -> None:
        if self.address.lease == "none":
            raise LineError("not_writer", "lease=none only reads")
        if self._claim is None:
            self._claim = self._ask({"type": "lease", "op": "claim"})
            self._claim.add_done_callback(self._claimed)

    def _claimed(self, answer: Future[Message]) -> None:
        with self._changed:
            self._claim = None
            if error := answer.exception():
                error = _as_error(error)
                held = "held by " if error.code == "busy" else ""
                why = self._session.held if error.code == "denied" else None
                self._session.fail(LineError(error.code, why or f"{held}{error}"))
            else:
                self._session.role = "writer"
            self._changed.notify_all()

    def _moved(self, answer: Future[Message]) -> None:
        if error := answer.exception():
            with self._changed:
                self._session.fail(_as_error(error))

    def _wake(self) -> None:
        """Something can be sent."""
        if self._task:
            with contextlib.suppress(RuntimeError):
                self._task.get_loop().call_soon_threadsafe(self._out.set)

    # The connection's thread.

    async def _open(self, settings: Message, outputs: Message, within: float) -> None:
        self._out, self._heard = asyncio.Event(), asyncio.Event()
        try:
            async with asyncio.timeout(within) as limit:
                socket = await self._dial()
                try:
                    self._task = asyncio.create_task(self._keep(socket))
                    await self._begin(limit)
                except BaseException:
                    # A task that is cancelled before it has begun closes nothing.
                    await self._stop()
                    await socket.close()
                    raise
                if self._session.role == "writer":
                    if configured := self.configure(settings):
                        await asyncio.wrap_future(configured)
                    # As on a pseudo-terminal: one that it has not is no reason not to open it.
                    has = {name: it for name, it in outputs.items() if name in self._session.caps}
                    if has:
                        await asyncio.wrap_future(self.signals(has))
        except TimeoutError:
            await self._stop()
            raise LineError("timeout", f"could not be opened within {within:g} s") from None
        except BaseException:
            await self._stop()
            raise
        _open_lines.add(self)

    async def _begin(self, limit: asyncio.Timeout) -> None:
        lease = self.address.lease
        role = {"ask": "auto", "none": "observer"}.get(lease or "", "writer")
        take = {"take": True} if lease == "take" else {}
        ask = {"type": "open", "role": role, "window": WINDOW, **take}
        await asyncio.wrap_future(self._ask(ask))
        if lease == "ask" and self._session.role != "writer":
            limit.reschedule(asyncio.get_running_loop().time() + ASKING)
            await asyncio.wrap_future(self._ask({"type": "lease", "op": "request"}))
            await self._until(lambda it: it.role == "writer" or it.lease_news == "denied")
            if self._session.role != "writer":
                raise LineError("busy", "its holder keeps the lease")
        await self._until(lambda it: it.is_known)

    async def _dial(self) -> ClientConnection:
        socket, hello = await dial(self.address, self._access)
        with self._changed:
            self._session.connected(hello)
        return socket

    async def _until(self, is_so: Callable[[Session], bool]) -> None:
        while not is_so(self._session):
            if self._session.broken:
                raise self._session.broken
            self._heard.clear()
            await self._heard.wait()

    async def _close(self, *, drain: bool) -> None:
        session = self._session
        _open_lines.discard(self)
        lost = None if self._told_broken else session.broken
        if session.secret and not session.broken:
            try:
                async with asyncio.timeout(CLOSING if drain else _LEAVING):
                    # A step that still waits would end with the session.
                    if drain and (waiting := self._session.waiting):
                        answers = map(asyncio.wrap_future, waiting)
                        await asyncio.gather(*answers, return_exceptions=True)
                    ask = {"type": "close", "drain": drain}
                    await asyncio.wrap_future(self._ask(ask, in_line=drain))
            except TimeoutError:
                lost = LineError("timeout", "the gateway does not answer")
            except LineError as error:
                if error is session.broken:
                    lost = error
                elif error.code != "unsupported":
                    session.fail(error)
                # Otherwise everything that can be known about was sent.
        await self._stop()
        if lost and self.outstanding:
            session.fail(
                LineError(lost.code, f"{self.outstanding} bytes may not have left: {lost}")
            )
        if drain and (failure := session.failed()):
            raise failure

    async def _stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _keep(self, socket: ClientConnection) -> None:
        """One connection after the other, until one ends for good."""
        end = LineError("closed", "the port is closed")
        try:
            while True:
                code, why = await self._converse(socket)
                if code not in _AGAIN:
                    end = LineError("closed", why)
                    return
                with self._changed:
                    self._session.lost()
                socket = await again(self._dial, self._session.hello["resume"])
        except LineError as error:
            end = error
        finally:
            self._over(end)
            await socket.close()

    def _over(self, end: LineError) -> None:
        with self._changed:
            self._session.end(end)
            self._changed.notify_all()
        self._heard.set()
        if self._on_change:
            self._on_change()

    async def _converse(self, socket: ClientConnection) -> tuple[int, str]:
        sending = asyncio.create_task(self._send(socket))
        try:
            while True:
                self._take(await socket.recv())
                while self._session.is_full:
                    self._out.clear()
                    await self._out.wait()
        except ConnectionClosed as closed:
            if closed.rcvd is None:
                return 1006, "the connection was lost"
            return closed.rcvd.code, closed.rcvd.reason or "the other end has closed"
        finally:
            sending.cancel()

    def _take(self, frame: str | bytes) -> None:
        with self._changed:
            self._session.heard(frame)
            notices = list(self._session.notices)
            self._session.notices.clear()
            self._changed.notify_all()
        self._out.set()
        self._heard.set()
        if self._on_change:
            self._on_change()
        for notice in notices:
            try:
                self._on_notice(*notice)
            except Exception:  # noqa: BLE001
                # What a program does with a message is no reason to end its line.
                _log.exception("on_notice failed")
        if self._session.broken:
            raise self._session.broken

    async def _send(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            if first := self._session.first_frame():
                await socket.send(first)
            while True:
                self._out.clear()
                with self._changed:
                    frame = self._session.next_frame()
                if frame is None:
                    await self._out.wait()
                else:
                    await socket.send(frame)


def _log_notice(whose: str, text: str) -> None:
    _log.warning("message from %s: %s", whose, text)


def _as_error(error: BaseException) -> LineError:
    return error if isinstance(error, LineError) else LineError("closed", str(error))


class _Thread:
    """The thread that all connections of this process live on."""

    lock = threading.Lock()
    loop: asyncio.AbstractEventLoop | None = None
    thread: threading.Thread | None = None


def _run(work: Coroutine[Any, Any, T]) -> Future[T]:
    with _Thread.lock:
        # A process that was forked has the loop and not the thread.
        if _Thread.loop is None or _Thread.thread is None or not _Thread.thread.is_alive():
            _Thread.loop = asyncio.new_event_loop()
            _Thread.thread = threading.Thread(
                target=_Thread.loop.run_forever, name="wsbridge", daemon=True
            )
            _Thread.thread.start()
        return asyncio.run_coroutine_threadsafe(work, _Thread.loop)


_open_lines: weakref.WeakSet[Line] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """What a program has written still leaves when it ends without closing, as with a real port."""
    for line in list(_open_lines):
        with contextlib.suppress(OSError):
            wait(line.close(), CLOSING)
