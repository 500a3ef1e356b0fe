"""Folders and zips of models and data sets that are named where a scan is expected."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from flare_trt.engine.base.errors import InputError

_BUNDLE, _PLANS, _DATASET = "bundle.json", "plans.json", "dataset.json"
#: Where nnU-Net keeps the images of a raw data set.
_IMAGES = ("imagesTs", "imagesTr")


def refuse_other_folders(folder: Path) -> None:
    """Raises InputError for a model bundle and for nnU-Net's folders, and says what to name. Reads no file."""
    if (folder / _BUNDLE).is_file() and any(folder.glob("*.onnx")):
        raise _bundle(folder)
    trained = next((place for place in (folder, *_folders_in(folder)) if _is_trained(place)), None)
    if trained is not None:
        raise InputError(
            f"{folder}: is an nnU-Net results folder, expected a CT; make a bundle of the model with: flare-trt export nnunet "
            f"{trained} -o BUNDLE, and name it with --model"
        )
    images = next((folder / name for name in _IMAGES if (folder / name).is_dir()), None)
    if images is not None and (folder / _DATASET).is_file():
        raise InputError(f"{folder}: is an nnU-Net data set, expected scans; name the folder of its images: {images}")


def refuse_other_zips(path: Path) -> None:
    """Raises InputError for a model bundle; what is no zip, its reader refuses."""
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, OSError, ValueError, NotImplementedError):  # the last: of a later version of zip
        return
    if any(PurePosixPath(name).name == _BUNDLE for name in names) and any(name.endswith(".onnx") for name in names):
        raise _bundle(path)


def _bundle(path: Path) -> InputError:
    return InputError(f"{path}: is a model bundle, expected a CT; name the bundle with --model {path}, and a scan as CT")


def _folders_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # its reader will say so
        return []


def _is_trained(folder: Path) -> bool:
    return (folder / _PLANS).is_file() and any(path.is_dir() for path in folder.glob("fold_*"))
