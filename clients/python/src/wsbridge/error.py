"""What goes wrong on a line."""

from __future__ import annotations


class LineError(OSError):
    """Something was not done; `code` is the protocol's word for why, or ours."""

    def __init__(self, code: str, message: str) -> None:
        """Remember both."""
        super().__init__(message)
        self.code = code
