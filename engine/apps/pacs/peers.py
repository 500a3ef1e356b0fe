"""Who may send, and who gets the results: AE titles with addresses."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from flare_trt.engine.apps.access import is_loopback
from flare_trt.engine.base.errors import ServiceError

#: PS3.5, 6.2, AE: printable ASCII without a backslash; here without blanks and @ too, which part the words of an option.
_TITLE = r"[!-?A-\[\]-~]{1,16}"


def require_title(title: str) -> str:
    """An AE title. Raises ServiceError."""
    if re.fullmatch(_TITLE, title) is None:
        raise ServiceError(f"AE title {title!r}: expected 1 to 16 printable letters without blanks, @ and backslash")
    return title


@dataclass(frozen=True)
class Sender:
    """An AE title that may send, from a network; None: from anywhere that reaches the worker."""

    title: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None

    @staticmethod
    def parsed(text: str) -> Sender:
        """AET, AET@ADDRESS or AET@NETWORK/BITS. Raises ServiceError."""
        title, at, network = text.partition("@")
        try:
            return Sender(require_title(title), ipaddress.ip_network(network) if at else None)
        except ValueError as error:
            raise ServiceError(f"--allow {text}: expected AET, AET@ADDRESS or AET@NETWORK/BITS such as CT1@10.1.2.3") from error


@dataclass(frozen=True)
class Door:
    """Where the worker listens, under which title, and who may send there. Without senders: any title, from this machine alone.

    Raises ServiceError.
    """

    title: str = "FLARE"
    host: str = "127.0.0.1"
    port: int = 11112
    senders: tuple[Sender, ...] = ()

    def __post_init__(self) -> None:
        require_title(self.title)
        if not is_loopback(self.host) and not (self.senders and all(sender.network for sender in self.senders)):
            raise ServiceError(
                f"host {self.host}: other machines could reach the worker, expected those that may send: --allow AET@ADDRESS"
            )

    def lets_in(self, title: str, address: str) -> bool:
        """Whether a sender may send from an address."""
        if not self.senders:
            return True
        place = ipaddress.ip_address(address)
        if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped is not None:
            place = place.ipv4_mapped
        return any(sender.title == title and (sender.network is None or place in sender.network) for sender in self.senders)


@dataclass(frozen=True)
class Archive:
    """Who gets the results by C-STORE."""

    title: str
    host: str
    port: int

    @staticmethod
    def parsed(text: str) -> Archive:
        """AET@HOST:PORT. Raises ServiceError."""
        found = re.fullmatch(rf"({_TITLE})@\[?([^\s@]+?)\]?:(\d{{1,5}})", text)
        if found is None or not 0 < int(found[3]) < 65536:
            raise ServiceError(f"--send-to {text}: expected AET@HOST:PORT such as ORTHANC@127.0.0.1:4242")
        return Archive(found[1], found[2], int(found[3]))

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"
