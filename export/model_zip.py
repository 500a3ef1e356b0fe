"""A model .zip as nnUNetv2_export_model_to_zip writes it, read without letting it decide where anything is written.

Its entries lie in Dataset/trainer__plans__configuration/. Of the chosen configuration plans.json, dataset.json and the wanted
checkpoints are unpacked, under names made here. Source: nnunetv2/model_sharing/model_export.py.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flare_trt.engine.base.errors import ExportError, reason_of
from flare_trt.engine.base.units import MIB

_FILE = re.compile(r"(?:(?P<folder>.+)/)?(?P<name>plans\.json|dataset\.json|fold_(?:\d{1,4}|all)/checkpoint_[a-z]+\.pth)")
_JSON_LIMIT_BYTES = 64 * MIB
_CHECKPOINT_LIMIT_BYTES = 1 << 33  # with the optimiser's state; ResEncXL has 1.6 GB


def is_in_zip(given: Path) -> bool:
    """Whether a path names a zip, or a folder in one ("model.zip/Dataset001_X/nnUNetTrainer__nnUNetPlans__3d_fullres")."""
    return _zip_of(given) is not None


def has_plans(given: Path) -> bool:
    """Whether a folder, on the disk or in a zip, holds a plans.json. Raises ExportError for a damaged zip."""
    file = _zip_of(given)
    if file is None:
        return (given / "plans.json").is_file()
    with _opened(file, given) as archive:
        return f"{given.relative_to(file).as_posix()}/plans.json" in archive.namelist()


def unpack_model(given: Path, checkpoint: str, into: Path) -> Path:
    """Unpack the zip's one configuration, or the one that the path goes on to name, into a new folder in `into`.

    `checkpoint` is the file's name in each fold's folder. Raises ExportError.
    """
    file = _zip_of(given) or given
    with _opened(file, given) as archive:
        return _unpacked(archive, given, file, checkpoint, into)


def read_member(given: Path) -> bytes:
    """What a small file in a zip holds ("model.zip/Dataset001_X/.../postprocessing.json"). Raises ExportError."""
    file = _zip_of(given) or given
    wanted = given.relative_to(file).as_posix()
    with _opened(file, given) as archive:
        found = [info for info in archive.infolist() if info.filename == wanted]
        if len(found) != 1:
            alike = ", ".join(name for name in archive.namelist() if Path(name).name == given.name) or "none"
            raise ExportError(f"{given}: got {len(found)} such files in the zip, expected one; of this name it holds: {alike}")
        _require_harmless(found[0], _JSON_LIMIT_BYTES, given)
        return archive.read(found[0])


@contextmanager
def _opened(file: Path, given: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:  # Runtime: encrypted
        raise ExportError(
            f"{given}: cannot be unpacked: {reason_of(error)}; expected a zip of nnUNetv2_export_model_to_zip"
        ) from error


def _zip_of(given: Path) -> Path | None:
    return next((path for path in (given, *given.parents) if path.is_file() and path.suffix.lower() == ".zip"), None)


def _unpacked(archive: zipfile.ZipFile, given: Path, file: Path, checkpoint: str, into: Path) -> Path:
    found: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for info in archive.infolist():
        if (match := _FILE.fullmatch(info.filename)) and (match["name"].endswith(("json", f"/{checkpoint}"))):
            files = found.setdefault(match["folder"] or "", {})
            if match["name"] in files:
                raise ExportError(f"{given}: got two entries {info.filename!r}, expected one; zip the model again")
            files[match["name"]] = info
    models = {folder: files for folder, files in found.items() if "plans.json" in files}
    files = models[_chosen(models, given, file)]
    target = into / "unpacked"
    for name, info in files.items():
        _require_harmless(info, _JSON_LIMIT_BYTES if name.endswith("json") else _CHECKPOINT_LIMIT_BYTES, given)
    needed, free = sum(info.file_size for info in files.values()), shutil.disk_usage(into).free
    if needed > free:
        raise ExportError(f"{given}: unpacks to {needed} bytes, {into} has {free} left; free some, or set TMPDIR to another disk")
    for name, info in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, (target / name).open("wb") as written:
            shutil.copyfileobj(source, written, MIB)
    return target


def _chosen(models: dict[str, dict[str, zipfile.ZipInfo]], given: Path, file: Path) -> str:
    """The folder in the zip. Raises ExportError that lists what may be named."""
    wanted = given.relative_to(file).as_posix()
    if wanted in models:
        return wanted
    if wanted == "." and len(models) == 1:
        return next(iter(models))
    known = ", ".join(sorted(str(file / folder) for folder in models)) or "none"
    raise ExportError(f"{given}: expected one configuration of the models in the zip; name one of: {known}")


def _require_harmless(info: zipfile.ZipInfo, limit_bytes: int, given: Path) -> None:
    """Check one entry. zipfile never yields more than `file_size` bytes of it."""
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ExportError(f"{given}: {info.filename!r} is a symbolic link, expected a file; zip the model again")
    if info.file_size > limit_bytes:
        raise ExportError(f"{given}: {info.filename!r} holds {info.file_size} bytes, expected at most {limit_bytes}")
