"""Files that appear whole or not at all: written under a temporary name beside the target, synced, then renamed."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flare_trt.engine.base.errors import OutputError


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


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON. Raises OutputError; ValueError for NaN and infinity, which JSON has not."""
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    with atomic_file(path) as file:
        file.write(text.encode())


@contextmanager
def _temporary(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
