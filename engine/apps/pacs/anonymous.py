"""What may be said of a study: hashes in place of UIDs, no folder of this machine, and libraries that keep values to themselves."""

from __future__ import annotations

import hashlib
import logging
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

#: A UID of at least four numbers; versions of programs have fewer.
_UID = re.compile(r"\b\d+(?:\.\d+){4,}\b")
_TALKATIVE = ("pydicom", "pynetdicom", "dicomweb_client", "highdicom", "urllib3", "retrying")


def hashed_uid(uid: str) -> str:
    """32 hexadecimal digits that stand for a UID.

    >>> len(hashed_uid("1.2.840.1")), hashed_uid("1.2.840.1") == hashed_uid("1.2.840.2")
    (32, False)
    """
    return hashlib.sha256(uid.encode()).hexdigest()[:32]


def told_problem(error: BaseException, folder: Path) -> str:
    """An error in words that may stand in a log: UIDs as hashes, without the study's `folder`."""
    text = str(error) or type(error).__name__
    text = text.replace(f"{folder}/", "").replace(str(folder), "the study")
    return _UID.sub(lambda found: f"#{hashed_uid(found[0])[:8]}", text)


def told_fault(error: BaseException) -> str:
    """A fault of the program by its kind and place: its words could repeat a header."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"a fault of the program, {type(error).__name__}{place}"


@contextmanager
def silenced() -> Iterator[None]:
    """Keep the DICOM libraries from logging, checking and warning about values in any thread: their words repeat headers."""
    config = import_module("pydicom.config")
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
