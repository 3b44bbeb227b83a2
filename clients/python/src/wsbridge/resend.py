"""Bytes that were sent and are not acknowledged, kept for a resume; and bytes that wait."""

from __future__ import annotations

from collections import deque

from .error import LineError

DATAGRAM = 65507
"""Bytes of the longest datagram."""

_FRAME = 16 * 1024


class Resend:
    """A session's bytes; offsets count from its first byte."""

    def __init__(self, window: int = 0, *, whole: bool = False) -> None:
        """Grant `window` bytes; with `whole`, what is written together stays together."""
        self._kept = bytearray()
        self.base = self.next = 0
        self._window = window
        self._borders: deque[int] | None = deque() if whole else None

    @property
    def end(self) -> int:
        """The offset after the last byte written."""
        return self.base + len(self._kept)

    def push(self, data: memoryview) -> int:
        """Take as many bytes as there is room for, a datagram all or not; say how many."""
        room = self._window - len(self._kept)
        if self._borders is not None:
            if len(data) > DATAGRAM:
                raise LineError("limit", f"a datagram has at most {DATAGRAM} bytes")
            if len(data) > room:
                return 0
            self._borders.append(self.end + len(data))
        taken = data[: max(0, room)]
        self._kept += taken
        return len(taken)

    def take(self, until: int | None) -> bytes | None:
        """Give the next bytes to send, below `until`."""
        end = min(self.end, self.next + _FRAME)
        if self._borders is not None:
            end = next((border for border in self._borders if border > self.next), self.next)
        if until is not None:
            end = min(end, until)
        if end <= self.next:
            return None
        data = bytes(self._kept[self.next - self.base : end - self.base])
        self.next = end
        return data

    def ack(self, tx: int) -> None:
        """Drop what the gateway no longer needs. A late acknowledgement changes nothing."""
        if tx > self.next:
            raise LineError("foreign", f"{tx} bytes acknowledged that were not sent")
        if tx > self.base:
            del self._kept[: tx - self.base]
            self.base = tx
        while self._borders and self._borders[0] <= self.base:
            self._borders.popleft()

    def resumed(self, tx: int) -> None:
        """Go on at the first byte that the gateway has not taken. It acknowledges later."""
        if not self.base <= tx <= self.next:
            raise LineError("foreign", f"resumed at byte {tx}, which was not sent")
        self.next = tx

    def drop_unsent(self) -> None:
        """Forget what was not sent."""
        del self._kept[self.next - self.base :]
        while self._borders and self._borders[-1] > self.next:
            self._borders.pop()
