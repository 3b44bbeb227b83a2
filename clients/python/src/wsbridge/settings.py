"""The settings of a port: as Python's libraries have them, in the words of the protocol."""

from __future__ import annotations

from typing import Any

_PARITY = {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"}


def read(
    baud: int, data: int, parity: str, stop: float, *, rtscts: bool, xonxoff: bool
) -> dict[str, Any]:
    """Translate them."""
    if rtscts and xonxoff:
        raise ValueError("flow control is by rtscts or by xonxoff, not by both")
    if not 0 < baud < 1 << 32:
        raise ValueError(f"there is no speed of {baud} baud")
    flow = "hardware" if rtscts else "software" if xonxoff else "none"
    return {
        "baud": baud,
        "data": data,
        "parity": _PARITY[parity],
        "stop": int(stop) if stop == int(stop) else stop,
        "flow": flow,
    }
