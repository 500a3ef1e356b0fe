"""Who may use a server: everybody on this machine, or whoever knows the token."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import ServiceError

_LEAST_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class Door:
    """Where a server is reached, and the token that opens it; without one, only from this machine. `port` 0 takes any free one.

    Raises ServiceError.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ServiceError(f"host {self.host}: other machines could reach the server, expected --token-file FILE with it")


def read_token(path: Path) -> str:
    """The token in a file of one line. Raises ServiceError."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ServiceError(f"token file {path}: cannot be read as ASCII text: {error}") from error
    if len(token) < _LEAST_TOKEN_CHARACTERS or not token.isprintable() or " " in token:
        raise ServiceError(
            f"token file {path}: expected one word of at least {_LEAST_TOKEN_CHARACTERS} characters; openssl rand -hex 32 makes one"
        )
    return token


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
