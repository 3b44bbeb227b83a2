"""The way to a gateway: a WebSocket, what refuses it, and when to try again."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from .error import LineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .access import Access
    from .address import Address
    from .session import Message

_CONNECT = 15
"""Seconds that a connection, handshakes included, may take."""

_ALIVE = 10
"""Seconds between two pings, and until one has to be answered."""

_NOTICE = 30
"""Seconds in which the gateway notices that a connection is gone; the session is kept from then."""

_PAUSES = (0, 1, 2, 4, 8, 15)
"""Seconds before each attempt to connect again; the last repeats."""

_CODES = {401: "denied", 403: "denied", 408: "unreachable", 409: "busy", 429: "busy"}
_SERVER_ERROR = 500
_PASSING = {"unreachable", "busy", "line_down"}
"""The refusals after which another attempt may help."""


class _Connect(connect):
    """A redirect would show the token to somebody else."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(address: Address, access: Access) -> tuple[ClientConnection, Message]:
    """Connect, and hear the gateway's `hello`."""
    offer, headers = ["wsbridge.v1"], {}
    if access.ticket:
        offer.append(f"wsbridge.ticket.{await asyncio.to_thread(access.ticket)}")
    elif access.token:
        headers["Authorization"] = f"Bearer {access.token}"
    try:
        socket = await _Connect(
            address.socket,
            subprotocols=offer,  # type: ignore[arg-type]
            additional_headers=headers,
            ssl=access.tls,
            compression=None,
            max_size=None,
            open_timeout=_CONNECT,
            ping_interval=_ALIVE,
            ping_timeout=_ALIVE,
            close_timeout=2,
        )
    except InvalidStatus as refused:
        raise _refused(refused, access) from None
    except ssl.SSLCertVerificationError as error:
        why = getattr(error, "verify_message", error.args[-1])
        why = f"its certificate is not trusted: {why}"
        raise LineError("untrusted", f"{why}; say ?ca=FILE or ?fingerprint=SHA256") from None
    except (OSError, WebSocketException) as error:
        why = str(error) or type(error).__name__
        raise LineError("unreachable", f"cannot reach the gateway: {why}") from None
    try:
        return socket, _hello(await asyncio.wait_for(socket.recv(), _CONNECT))
    except ConnectionClosed as closed:
        why = closed.rcvd.reason if closed.rcvd else "the connection was lost"
        raise LineError("unreachable", why) from None
    except (ValueError, KeyError, TypeError):
        await socket.close()
        raise LineError("foreign", "what answers there speaks no wsbridge.v1") from None


def _hello(frame: str | bytes) -> Message:
    hello: Message = json.loads(frame)
    if hello["type"] != "hello" or hello["v"] != 1:
        raise ValueError
    return hello


def _refused(refused: InvalidStatus, access: Access) -> LineError:
    status = refused.response.status_code
    code = _CODES.get(status, "line_down" if status >= _SERVER_ERROR else "refused")
    said = (refused.response.body or b"").decode(errors="replace").strip()
    return LineError(code, f"HTTP {status}: {said}{access.advice(status)}")


async def again(
    attempt: Callable[[], Awaitable[ClientConnection]], kept: float
) -> ClientConnection:
    """Connect again, while the gateway keeps the session: `kept` seconds after it has noticed."""
    end = time.monotonic() + kept + _NOTICE
    tries = 0
    while True:
        pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
        tries += 1
        # A quarter more or less, so that not all clients come back at the same time.
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311
        try:
            return await attempt()
        except LineError as error:
            if error.code not in _PASSING or time.monotonic() > end:
                raise
