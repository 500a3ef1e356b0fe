"""From the bytes that a client sends to a scan."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from flare_trt.engine.base.errors import InputError
from flare_trt.engine.base.volume import Volume
from flare_trt.engine.batch.scan_steps import Scan, read_scan
from flare_trt.engine.scans.dicom.choice import ONLY_SERIES, SeriesChoice
from flare_trt.engine.scans.open_scan import open_scan
from flare_trt.engine.scans.scan_reader import SlabReader

_ZIP = b"PK\x03\x04"


class UploadTooLarge(Exception):  # noqa: N818  # a limit, not a fault
    """More bytes came than are taken."""


async def receive(chunks: AsyncIterator[bytes], target: Path, most_bytes: int) -> None:
    """Write a body to a new file as it comes; none of it is held. On return it outlasts a power cut.

    Raises UploadTooLarge at the first byte too many.
    """
    from anyio import to_thread

    size = 0
    with target.open("xb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > most_bytes:
                raise UploadTooLarge
            await to_thread.run_sync(file.write, chunk)
        file.flush()
        await to_thread.run_sync(os.fsync, file.fileno())


def take_scan(
    path: Path, read: Callable[[SlabReader], Volume], choice: SeriesChoice = ONLY_SERIES, correct_tilt: bool = False
) -> Scan:
    """The scan in an uploaded file: a DICOM zip by its first bytes (the file's name then ends so), else NIfTI. Raises InputError.

    `choice` says which series and acquisition to take of a zip with several; a zip with a tilted gantry needs `correct_tilt`.
    """
    if path.with_suffix(".zip").exists():  # a job that was begun before its server was started again
        path.with_suffix(".zip").replace(path)
    with path.open("rb") as file:
        zipped = file.read(len(_ZIP)) == _ZIP
    named = path.rename(path.with_suffix(".zip")) if zipped else path
    if choice != ONLY_SERIES and not zipped:
        raise InputError(f"{path}: a series can be chosen in a zip of DICOM only; leave out --series, --pick, --acquisition")
    return read_scan(partial(open_scan, named, replace(choice, correct_tilt=zipped and correct_tilt)), read)
