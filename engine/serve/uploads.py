"""From the bytes that a client sends to a scan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from flare_trt.engine.errors import InputError
from flare_trt.engine.scan_steps import Scan, read_scan
from flare_trt.engine.volume import Volume

_ZIP = b"PK\x03\x04"


class UploadTooLarge(Exception):  # noqa: N818  # a limit, not a fault
    """More bytes came than are taken."""


async def receive(chunks: AsyncIterator[bytes], target: Path, most_bytes: int) -> None:
    """Write a body to a new file as it comes; none of it is held. Raises UploadTooLarge at the first byte too many."""
    from anyio import to_thread

    size = 0
    with target.open("xb") as file:
        async for chunk in chunks:
            size += len(chunk)
            if size > most_bytes:
                raise UploadTooLarge
            await to_thread.run_sync(file.write, chunk)


def uploaded_scan(path: Path, read: Callable[[Path], Volume]) -> Scan:
    """The scan in an uploaded file: the one place that tells formats apart, by content. Raises InputError."""
    with path.open("rb") as file:
        if file.read(len(_ZIP)) == _ZIP:
            raise InputError(f"{path}: got a zip, expected one NIfTI-1 scan (.nii or .nii.gz)")
    return read_scan(path, read)
