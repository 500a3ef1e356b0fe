"""Files that appear whole or not at all: written under a temporary name beside the target, synced, then renamed; and case names."""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from flare_trt.engine.base.errors import OutputError, reason_of

#: Endings that are no part of a case's name, and the number that FLARE and nnU-Net give an image's only channel.
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".zip")
CHANNEL = "_0000"
#: A list of numbers and nulls over several lines. Text holds no line breaks in JSON, so this is never inside of one.
_NUMBERS = re.compile(r"\[\n[\d\s.,eE+\-nul]*\]")

_BLOCK_BYTES = 4096


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A binary file to write; it takes the name `path` when the block ends well, and is removed when it does not.

    Raises OutputError where the folder is missing, may not be written or the disk is full.
    """
    with _output_errors(path), _temporary(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        Path(file.name).replace(path)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """As `atomic_file`, for libraries that write by name: a free name beside `path` with its ending in small letters.

    In capitals ITK takes an ending for another: it writes A.mhd and A.zraw for A.MHA.
    """
    with _output_errors(path):
        temporary = path.with_name(f".{secrets.token_hex(4)}.part.{path.name.lower()}")
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder outlast a power cut, as `atomic_file` does with what is under them. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_place(path: Path) -> None:
    """Find out whether `path` could be written now, by a block beside it that is removed again. Raises OutputError."""
    with _output_errors(path), _temporary(path) as file:
        file.write(bytes(_BLOCK_BYTES))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text. Raises OutputError."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON that every reader takes: NaN and infinity, which JSON lacks, become null. Lists of numbers take one line.

    Raises OutputError.
    """
    text = json.dumps(_finite(value), indent=1, allow_nan=False)
    write_text(path, _NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n")


def has_ending(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether a name ends so, in capitals too: scanners and old systems write .NII.GZ.

    >>> has_ending(Path("CT.NII.GZ"), (".nii", ".nii.gz"))
    True
    """
    return path.name.lower().endswith(endings)


def files_with(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files of a folder whose names end so, in name order, without hidden ones (._case.nii.gz is macOS's, and no scan)."""
    return sorted(path for path in folder.iterdir() if _is_wanted(path, endings))


def files_below(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """As `files_with`, of the folders in it too, without hidden ones and the one where macOS keeps its own files."""
    found: list[Path] = []
    for place, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "__MACOSX"]
        found += [path for path in (Path(place, name) for name in names) if _is_wanted(path, endings)]
    return sorted(found)


def _is_wanted(path: Path, endings: tuple[str, ...]) -> bool:
    return has_ending(path, endings) and not path.name.startswith(".")


def case_name(file: Path) -> str:
    """The name of a scan's or label map's case: without ending and without FLARE's channel number.

    Never anything out of the scan's header.

    >>> case_name(Path("FLARE22_Tr_0001_0000.nii.gz")), case_name(Path("CT.NII")), case_name(Path("study.zip"))
    ('FLARE22_Tr_0001', 'CT', 'study')
    """
    name = file.absolute().resolve().name if file.name in ("", "..") else file.name
    for ending in _ENDINGS:
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name.removesuffix(CHANNEL) or name


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _output_errors(path: Path) -> Iterator[None]:
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} is not there; make it first")
    if path.is_dir():
        raise OutputError(f"{path}: a folder has this name, expected a file; choose another name")
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {reason_of(error)}; free space or choose another place") from error


@contextmanager
def _temporary(path: Path) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
    finally:
        temporary.unlink(missing_ok=True)
