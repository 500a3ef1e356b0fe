"""Every error that flare-trt raises on purpose. Each message says what was got, what was expected and what to do.

FlareError
+-- InputError      a scan, a label file or an array that cannot be used
+-- BundleError     a model bundle or its spec that cannot be used
+-- ExportError     a trained model that cannot be turned into a bundle
+-- DeviceError     a device or backend that was named and is not there (exit code 3)
+-- BudgetError     a memory budget that cannot be kept; says the least that would do
+-- OutputError     a result that cannot be written
+-- ServiceError    a server or a cluster that cannot be started or reached as asked
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import TypeVar

E = TypeVar("E", bound=BaseException)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FlareError(Exception):
    """Base of the tree. `exit_code` is what the command line exits with."""

    exit_code = 1


class InputError(FlareError):
    """A scan, a label file or an array that cannot be used."""


class BundleError(FlareError):
    """A model bundle or its spec that cannot be used."""


class ExportError(FlareError):
    """A trained model that cannot be turned into a bundle."""


class DeviceError(FlareError):
    """A device or backend that was named and is not there."""

    exit_code = 3


class BudgetError(FlareError):
    """A memory budget that cannot be kept; the message says the least that would do."""


class OutputError(FlareError):
    """A result that cannot be written."""


class ServiceError(FlareError):
    """A server or a cluster that cannot be started or reached as asked."""


def reason_of(error: BaseException) -> str:
    """An error's words; of the system's those without the path, for messages that name it themselves."""
    return getattr(error, "strerror", None) or str(error)


def without_frames(error: E) -> E:
    """The error, and those it came from, without tracebacks: their frames hold a scan's arrays for as long as the error is kept."""
    for link in _origins(error):
        link.__traceback__ = None
    return error


def is_full(error: BaseException) -> bool:
    """Whether the system had no room for a file, by an error or one that it came from: the disk, a quota or a limit is full."""
    return any(isinstance(link, OSError) and link.errno in _FULL for link in _origins(error))


def _origins(error: BaseException) -> Iterator[BaseException]:
    """The error, and those it came from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
