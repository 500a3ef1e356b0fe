"""Who may use a server: everybody on this machine, or whoever knows the token."""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import ServiceError, reason_of

_LEAST_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class Door:
    """Where a server is reached, and the token that opens it; without one, only from this machine. `port` 0 takes any free one.

    `names` are further host names that requests may bear, and `prefix` the path before the server's own, where a reverse proxy
    stands before it. Raises ServiceError.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    names: tuple[str, ...] = ()
    prefix: str = ""

    def __post_init__(self) -> None:
        if re.fullmatch(r"(/[\w.~-]+)*", self.prefix) is None:
            raise ServiceError(f"prefix {self.prefix}: expected a path such as /ct, without a slash at its end")
        if self.token is None and not is_loopback(self.host):
            raise ServiceError(f"host {self.host}: other machines could reach the server, expected --token-file FILE with it")


def read_token(path: Path) -> str:
    """The token in a file of one line. Raises ServiceError."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"token file {path}: cannot be read as ASCII text: {reason_of(error)}") from error
    if len(token) < _LEAST_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise ServiceError(
            f"token file {path}: expected one word of at least {_LEAST_TOKEN_CHARACTERS} characters; openssl rand -hex 32 makes one"
        )
    return token


def token_warning(path: Path) -> str | None:
    """What to say of a token file that other users of this machine can read. Raises ServiceError."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        raise ServiceError(f"token file {path}: cannot be looked at: {reason_of(error)}") from error
    return f"token file {path}: others can read it (mode {mode:o}); chmod 600 {path}" if mode & 0o077 else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`. A name other than localhost counts as reachable.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_token(given: str, token: str) -> bool:
    """Whether `given` is the token; takes as long whatever was given."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())
