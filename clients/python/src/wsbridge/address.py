"""Where a line is: the URL that a program is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

SCHEMES = {"wsbridge": True, "wsbridge+http": False}
"""What a URL begins with, and whether TLS is spoken there."""

_SECRETS = {"token", "ticket", "bearer", "password", "user"}
_OPTIONS = {"lease", "token_file", "ca", "fingerprint"}
_LEASES = {"ask", "take", "none"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Address:
    """A line, and what the URL says about getting there."""

    secure: bool
    host: str
    port: int
    prefix: str
    """The path of the gateway below its server: empty unless a proxy says so."""
    endpoint: str
    lease: str | None = None
    token_file: str | None = None
    ca: str | None = None
    fingerprint: bytes | None = None

    @property
    def gateway(self) -> str:
        """The gateway as `wsbridge login` takes it."""
        usual = 443 if self.secure else 80
        port = "" if self.port == usual else f":{self.port}"
        return f"http{'s' if self.secure else ''}://{self._host}{port}{self.prefix}"

    @property
    def socket(self) -> str:
        """The line's WebSocket."""
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self._host}:{self.port}{self.prefix}/ws/{self.endpoint}"

    @property
    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def read(url: str) -> Address:
    """Read `wsbridge://HOST[:PORT]/[PATH/]ENDPOINT[?OPTION=VALUE]`, or say what is wrong."""
    parts = urlsplit(url)
    secure = SCHEMES.get(parts.scheme)
    if secure is None:
        raise ValueError(f"{parts.scheme}:// is not wsbridge:// or wsbridge+http://")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc or _SECRETS & options.keys():
        raise ValueError(
            "no token, ticket or password in the URL: logs and other users see it; "
            "use `wsbridge login`, WSBRIDGE_TOKEN or ?token_file=FILE"
        )
    try:
        host, port = parts.hostname, parts.port or (443 if secure else 80)
    except ValueError as error:
        raise ValueError(f"{parts.netloc} is not HOST or HOST:PORT: {error}") from None
    if not host:
        raise ValueError("the URL names no gateway: wsbridge://HOST:PORT/ENDPOINT")
    prefix, _, endpoint = parts.path.rpartition("/")
    if prefix.endswith("/ws"):
        prefix = prefix.removesuffix("/ws")
    if not _NAME.fullmatch(endpoint) or parts.fragment:
        raise ValueError("the URL names no endpoint: wsbridge://HOST:PORT/ENDPOINT")
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ValueError(f"there is no option {name}; there are {', '.join(sorted(_OPTIONS))}")
        if not value:
            raise ValueError(f"{name} has no value")
    return Address(
        secure,
        host,
        port,
        prefix,
        endpoint,
        lease=_lease(options.get("lease")),
        token_file=options.get("token_file"),
        ca=options.get("ca"),
        fingerprint=_fingerprint(options.get("fingerprint")),
    )


def _lease(word: str | None) -> str | None:
    if word is not None and word not in _LEASES:
        raise ValueError(f"lease={word}: it is one of {', '.join(sorted(_LEASES))}")
    return word


def _fingerprint(text: str | None) -> bytes | None:
    if text is None:
        return None
    digits = text.replace(":", "")
    if not re.fullmatch("[0-9A-Fa-f]{64}", digits):
        raise ValueError("fingerprint: it is the SHA-256 of the certificate, 64 hex digits")
    return bytes.fromhex(digits)
