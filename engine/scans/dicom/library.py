"""The door to pydicom and highdicom: loaded on first use, kept from printing values, their errors turned into ours."""

from __future__ import annotations

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from flare_trt.engine.base.errors import InputError

#: What a damaged file makes pydicom and its decoders raise; their texts repeat values of the file and are never passed on.
LIBRARY_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    OSError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)

_LOCK = threading.RLock()


def library(name: str) -> Any:
    """A module of the extra `dicom`. Raises InputError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"DICOM: {name.split('.')[0]} is not installed; pip install 'flare-trt[dicom]'") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries from checking values and from warning about them: a warning would repeat what the header holds.

    Both switches belong to the whole process, so threads take turns. pydicom's own errors become ValueError.
    """
    config, errors = library("pydicom.config"), library("pydicom.errors")
    with _LOCK, config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = config.logger.level
        config.logger.setLevel("CRITICAL")
        try:
            yield
        except (errors.InvalidDicomError, errors.BytesLengthException) as error:
            raise ValueError(type(error).__name__) from None
        finally:
            config.logger.setLevel(level)
