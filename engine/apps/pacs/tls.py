"""TLS contexts from files: for those that send to the worker, and for the archive that it sends to."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from flare_trt.engine.base.errors import ServiceError


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the worker's certificate and key; the authority of senders' certificates (None: none is asked for); the archive's.

    Raises ServiceError.
    """

    certificate: Path | None = None
    key: Path | None = None
    senders: Path | None = None
    archive: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ServiceError("got one of --tls-cert and --tls-key, expected both or none")
        if self.senders is not None and self.certificate is None:
            raise ServiceError("--tls-ca: expected --tls-cert and --tls-key with it: without them the worker speaks no TLS")

    def inward(self) -> ssl.SSLContext | None:
        """For the worker as a server; None: no TLS."""
        if self.certificate is None:
            return None
        context = _loaded(ssl.PROTOCOL_TLS_SERVER, self.senders)
        if self.senders is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        self._show(context)
        return context

    def outward(self) -> ssl.SSLContext | None:
        """For sending to the archive, whose certificate has to be its host's; None: no TLS."""
        if self.archive is None:
            return None
        context = _loaded(ssl.PROTOCOL_TLS_CLIENT, self.archive)
        self._show(context)
        return context

    def _show(self, context: ssl.SSLContext) -> None:
        if self.certificate is None or self.key is None:
            return
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise ServiceError(f"{self.certificate}, {self.key}: cannot be used: {error}; expected PEM files that match") from error


def _loaded(protocol: int, authority: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if authority is not None:
            context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise ServiceError(f"{authority}: cannot be used: {error}; expected a PEM file of certificates") from error
    return context
