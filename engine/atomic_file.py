"""Files that appear whole or not at all: written under a temporary name beside the target, synced, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from flare_trt.engine.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write; it takes the name `path` when the block ends well, and is removed when it does not.

    Raises OutputError where the folder is missing, may not be written or the disk is full.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} is not there; make it first")
    if path.is_dir():
        raise OutputError(f"{path}: a folder has this name, expected a file; choose another name")
    try:
        with _temporary(path) as file:
            yield file
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}; free space or choose another place") from error


@contextmanager
def _temporary(path: Path) -> Iterator[IO[bytes]]:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """The process' umask, which mkstemp passes over (a scan's labels should be as readable as any other file)."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
