"""How to get in: the token or ticket that is shown, and whom to believe at the other end."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .error import LineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .address import Address

VARIABLE = "WSBRIDGE_TOKEN"


class Access:
    """What is shown to a gateway, and what it has to show. Its secrets are in no repr."""

    def __init__(
        self, address: Address, token: str | None = None, ticket: Callable[[], str] | None = None
    ) -> None:
        """Find the token: the one given, else of a file, the environment, or a sign-in.

        `ticket` gives a new one-time ticket for each connection, in place of a token.
        """
        kept = _sign_in(address)
        self.ticket = ticket
        self.token, self._advice = None, ""
        if ticket:
            self._advice = "the ticket is not good there"
        elif token:
            self.token, self._advice = token, "the token that the program gave is not good there"
        elif address.token_file:
            self.token = _token_of(Path(address.token_file).expanduser())
            self._advice = f"the token in {address.token_file} is not good there"
        elif os.environ.get(VARIABLE, "").strip():
            self.token = os.environ[VARIABLE].strip()
            self._advice = f"the token in {VARIABLE} is not good there"
        elif kept:
            self.token = kept["token"]
            login = f"`wsbridge login {address.gateway}`"
            self._advice = f"the sign-in has ended; {login} begins another"
        else:
            login = f"`wsbridge login {address.gateway}`"
            self._advice = f"sign in with {login}, or put a token into {VARIABLE}"
        self.tls = _tls(address, kept.get("trust") or {}) if address.secure else None

    def advice(self, status: int) -> str:
        """What to do about a refusal with this HTTP status."""
        return f": {self._advice}" if status == 401 else ""  # noqa: PLR2004


def _token_of(file: Path) -> str:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise LineError("denied", f"token_file: {error}") from None
    if len(text.split()) != 1:
        raise LineError("denied", f"token_file {file}: it is to hold a token and nothing else")
    return text


def _sign_in(address: Address) -> dict[str, Any]:
    """Read what `wsbridge login` has kept; empty if there is none."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(home) if home.startswith("/") else Path.home() / ".config"
    plain = "" if address.secure else "_plain"
    name = f"{address.host.lower()}_{address.port}{address.prefix}{plain}".replace("/", "!")
    file = folder / "wsbridge" / f"{name}.sign-in"
    try:
        about = file.lstat()
        if hasattr(os, "geteuid") and (
            about.st_uid != os.geteuid() or about.st_mode & 0o077 or not stat.S_ISREG(about.st_mode)
        ):
            raise LineError("denied", f"{file}: other users may read or write it; sign in again")
        kept = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        if isinstance(error, LineError):
            raise
        raise LineError("denied", f"{file}: not a sign-in: {error}") from None
    return kept if isinstance(kept, dict) and "token" in kept else {}


def _tls(address: Address, kept: dict[str, Any]) -> ssl.SSLContext:
    """The certificates that are believed: as the URL says, else as `wsbridge login` was told."""
    fingerprint = address.fingerprint
    ca = address.ca
    if not fingerprint and not ca:
        ca = kept.get("ca")
        fingerprint = bytes(kept["fingerprint"]) if "fingerprint" in kept else None
    if not fingerprint:
        try:
            return ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise LineError("untrusted", f"ca={ca}: {error}") from None

    class Pinned(ssl.SSLObject):
        """A connection that goes on only with that certificate: nothing is said before."""

        def do_handshake(self) -> None:
            super().do_handshake()
            shown = hashlib.sha256(self.getpeercert(binary_form=True) or b"").digest()
            if shown != fingerprint:
                raise ssl.SSLCertVerificationError(
                    f"its certificate's fingerprint is {shown.hex(':').upper()}"
                )

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslobject_class = Pinned
    return context
