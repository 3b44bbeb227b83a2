"""Lines of a wsbridge gateway as ports of pyserial and serialx.

`import wsbridge` is all there is to do: from then on `serial.serial_for_url` and serialx, whichever
is installed, open `wsbridge://GATEWAY:PORT/ENDPOINT`. See README.md.
"""

import contextlib

from .error import LineError

__all__ = ["LineError"]

with contextlib.suppress(ModuleNotFoundError):
    import serial

    from . import protocol_wsbridge  # noqa: F401

    # It looks for `protocol_SCHEME` in each of these packages.
    if __name__ not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(__name__)

with contextlib.suppress(ModuleNotFoundError):
    from . import serialx  # noqa: F401
